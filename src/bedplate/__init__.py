"""bedplate: one platform for large-model infrastructure.

    import bedplate
    outcome = bedplate.run("examples/lifecycle.yaml")
    outcome.path_of("train"), outcome.report

The names below are public, among them what a use case of your own needs (`--use`); every module is private, whatever its
name. Each name is loaded when it is first used, so that importing stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bedplate._version import __version__

if TYPE_CHECKING:
    from bedplate.app.api import plan as plan
    from bedplate.app.api import run as run
    from bedplate.app.control.client.client import ControlClient as ControlClient
    from bedplate.app.control.client.connect import connect as connect
    from bedplate.app.pipeline.contract.measured import measured_in as measured_in
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
    from bedplate.core.errors import CheckFailedError as CheckFailedError
    from bedplate.core.errors import ConfigurationError as ConfigurationError
    from bedplate.core.errors import NotFoundError as NotFoundError
    from bedplate.core.errors import UnavailableError as UnavailableError
    from bedplate.core.errors import UsageError as UsageError
    from bedplate.core.measurement import Measurement as Measurement
    from bedplate.core.measurement import Provenance as Provenance
    from bedplate.core.settings import Input as Input
    from bedplate.core.settings import InputFile as InputFile
    from bedplate.core.settings import Range as Range
    from bedplate.core.settings import about_setting as about_setting
    from bedplate.core.settings import settings as settings
    from bedplate.core.text import text as text
    from bedplate.core.units import ByteCount as ByteCount
    from bedplate.core.units import Count as Count
    from bedplate.core.units import Duration as Duration
    from bedplate.core.units import Fraction as Fraction

_PUBLIC = {
    "BedplateError": "bedplate.core.errors",
    "ByteCount": "bedplate.core.units",
    "CheckFailedError": "bedplate.core.errors",
    "ConfigurationError": "bedplate.core.errors",
    "ControlClient": "bedplate.app.control.client.client",
    "Count": "bedplate.core.units",
    "Duration": "bedplate.core.units",
    "Fraction": "bedplate.core.units",
    "Input": "bedplate.core.settings",
    "InputFile": "bedplate.core.settings",
    "Measurement": "bedplate.core.measurement",
    "Needs": "bedplate.app.pipeline.contract.step",
    "NotFoundError": "bedplate.core.errors",
    "Plan": "bedplate.app.pipeline.run.planning",
    "PlanContext": "bedplate.app.pipeline.contract.step",
    "Provenance": "bedplate.core.measurement",
    "Range": "bedplate.core.settings",
    "ResultKind": "bedplate.app.pipeline.contract.step",
    "RunOutcome": "bedplate.app.pipeline.run.outcome",
    "RunWatcher": "bedplate.app.pipeline.run.watch",
    "StepContext": "bedplate.app.pipeline.contract.step",
    "StepOutcome": "bedplate.app.pipeline.run.outcome",
    "StepResult": "bedplate.app.pipeline.contract.step",
    "UnavailableError": "bedplate.core.errors",
    "UsageError": "bedplate.core.errors",
    "about_setting": "bedplate.core.settings",
    "connect": "bedplate.app.control.client.connect",
    "measured_in": "bedplate.app.pipeline.contract.measured",
    "plan": "bedplate.app.api",
    "run": "bedplate.app.api",
    "settings": "bedplate.core.settings",
    "text": "bedplate.core.text",
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
