"""`network simulate`: one question to the flow-level simulator, for the command line and for Python."""

from __future__ import annotations

from bedplate.network.simulate.scenario import Scenario as Settings
from bedplate.network.simulate.scenario import ScenarioResult as ScenarioResult
from bedplate.network.simulate.scenario import run_scenario

__all__ = ["ScenarioResult", "Settings", "simulate"]


def simulate(settings: Settings) -> ScenarioResult:
    """Answer the question; see `run_scenario` for the errors."""
    return run_scenario(settings)
