"""`network simulate`: one question to the flow-level simulator, for the command line and for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedplate.network.simulate.question import Scenario as Settings

if TYPE_CHECKING:
    from bedplate.network.simulate.scenario import ScenarioResult as ScenarioResult

__all__ = ["Settings", "simulate"]


def simulate(settings: Settings) -> ScenarioResult:
    """Answer the question; see `run_scenario` for the errors."""
    from bedplate.network.simulate.scenario import run_scenario

    return run_scenario(settings)
