"""bedplate: one platform for large-model infrastructure.

    import bedplate
    outcome = bedplate.run("examples/lifecycle.yaml")
    outcome.path_of("train"), outcome.report

The names below are public; every other module is private, whatever its name. Each is loaded when it is first used, so
that importing stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bedplate._version import __version__

if TYPE_CHECKING:
    from bedplate.app.api import plan as plan
    from bedplate.app.api import run as run
    from bedplate.app.pipeline.contract.step import Needs as Needs
    from bedplate.app.pipeline.contract.step import PlanContext as PlanContext
    from bedplate.app.pipeline.contract.step import ResultKind as ResultKind
    from bedplate.app.pipeline.contract.step import StepContext as StepContext
    from bedplate.app.pipeline.contract.step import StepResult as StepResult
    from bedplate.app.pipeline.run.outcome import RunOutcome as RunOutcome
    from bedplate.app.pipeline.run.outcome import StepOutcome as StepOutcome
    from bedplate.app.pipeline.run.planning import Plan as Plan
    from bedplate.app.pipeline.run.watch import RunWatcher as RunWatcher
    from bedplate.core.errors import BedplateError as BedplateError
    from bedplate.core.measurement import Measurement as Measurement
    from bedplate.core.measurement import Provenance as Provenance

_PUBLIC = {
    "BedplateError": "bedplate.core.errors",
    "Measurement": "bedplate.core.measurement",
    "Needs": "bedplate.app.pipeline.contract.step",
    "Plan": "bedplate.app.pipeline.run.planning",
    "PlanContext": "bedplate.app.pipeline.contract.step",
    "Provenance": "bedplate.core.measurement",
    "RunOutcome": "bedplate.app.pipeline.run.outcome",
    "RunWatcher": "bedplate.app.pipeline.run.watch",
    "StepContext": "bedplate.app.pipeline.contract.step",
    "StepOutcome": "bedplate.app.pipeline.run.outcome",
    "ResultKind": "bedplate.app.pipeline.contract.step",
    "StepResult": "bedplate.app.pipeline.contract.step",
    "plan": "bedplate.app.api",
    "run": "bedplate.app.api",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bedplate' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
