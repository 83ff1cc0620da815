"""The contract between the pipeline and a use case: what a step is given, and what it returns.

A use case is a module named in `app/uses.py` with
    Settings                                   its settings class (`core.settings.settings`): the keys next to `use` and `after`
    plan(settings, context) -> Sequence[str]   what it would do and why, in a few lines (a `PlanContext`)
    run(settings, context) -> StepResult       does it (a `StepContext`)

`bedplate run` plans every step before the first one works. A plan that raises `UsageError` or `NotFoundError` refuses its
settings: the file is wrong, and nothing runs; `core.settings.about_setting` names the key. Any other `BedplateError`
means that it cannot be known yet. Settings that refer to a step that is not done hold `$name` then, and are not to be judged.

`$name` in a file becomes the path that the step `name` returned, so a file or folder of the user's works in its place.
A step may be killed at any moment and run again with the same directory: it finds what it had half done there, and
what it returns must be complete (written aside, then renamed).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bedplate.app.pipeline.contract.needs import Needs as Needs
from bedplate.app.pipeline.contract.needs import Workers as Workers
from bedplate.core.clock import Clock
from bedplate.core.devices import Node
from bedplate.core.events.event import EventSink
from bedplate.core.figures import Figure, ResultTable
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.core.reporter import Reporter
from bedplate.engines.base import Engine


class ResultKind(enum.StrEnum):
    """What a step's path is, where people or later commands look for such a thing."""

    MODEL = "model"
    """A folder that `bedplate serve` takes."""
    REPORT = "report"
    """A page that opens in a browser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a finished step leaves behind; stored, and found again when the run is resumed."""

    path: Path | None = None
    """File or folder that later steps get for `$name`."""
    kind: ResultKind | None = None
    """What `path` is; None where nobody looks for it by its kind."""
    outputs: JsonObject = field(default_factory=dict)
    """Small facts for later steps and for people."""
    measurements: tuple[Measurement, ...] = ()
    figures: tuple[Figure, ...] = ()
    """Pictures for the report."""
    tables: tuple[ResultTable, ...] = ()
    """Tables for the report."""


class EngineView(Protocol):
    """An engine that can be looked at: what a plan may see of it."""

    @property
    def name(self) -> str:
        """The engine's name: `local`, `ray`, `simulated`."""
        ...

    def resources(self) -> tuple[Node, ...]:
        """Nodes and devices that the engine owns, taken or not, excluded or not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """What a plan may look at. Nothing in it writes, launches or emits."""

    name: str
    """The step's name in the file."""
    run_id: str
    directory: Path
    """The step's own directory, kept between attempts; a plan finds it missing in a run that has not started."""
    needs: Needs
    engine: EngineView
    """Where its processes would run."""
    results: Mapping[str, StepResult]
    """Results of all steps that were done before, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext(PlanContext):
    """What a step is given: all that its plan saw, and the means to act."""

    engine: Engine
    """Where its processes run."""
    events: EventSink
    """Events and metric samples; the run and step are filled in."""
    clock: Clock
    reporter: Reporter
    """How the step reports to its caller, and learns that it should end."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time of the steps that were done before, by name."""
    busy_frac: Callable[[], float | None] = lambda: None
    """Share of the machine's CPU time that other work took since the step started, 0 to 1; None where nobody watches."""
