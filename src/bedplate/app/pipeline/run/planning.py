"""What a pipeline would do, and why: the same reading and checking as for a run, and nothing written."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.app.pipeline.contract.step import EngineView, PlanContext, StepResult
from bedplate.app.pipeline.contract.stored import result_from_json
from bedplate.app.pipeline.file.definition import Pipeline, Step
from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError, ConfigurationError, NotFoundError, UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.json import JsonObject, plain
from bedplate.core.settings import Mistakes, Place, written_settings
from bedplate.engines.base import Engine, EngineFactory
from bedplate.state.records import Status
from bedplate.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """What would become of one step."""

    name: str
    use: str
    after: tuple[str, ...]
    """Steps that come before it: those it names, and those whose paths it takes."""
    is_done: bool
    """It was finished before and would be skipped."""
    settings: JsonObject
    """All of them, defaults filled in."""
    written: Mapping[str, str]
    """The same as people write them in a file: `2GB`, `5%`; empty where there is no value."""
    lines: tuple[str, ...]
    """What the use case says it would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pipeline would do."""

    name: str
    run_id: str | None
    """The run that would be resumed; None: a new one would start."""
    engine: str
    nodes: tuple[Node, ...]
    steps: tuple[PlannedStep, ...]

    def as_json(self) -> JsonObject:
        """The document of `plan -o json`."""
        return {
            "name": self.name,
            "run_id": self.run_id,
            "engine": self.engine,
            "devices": [{"node": node.id, **device.as_json()} for node in self.nodes for device in node.devices],
            "steps": [
                {
                    "name": step.name,
                    "use": step.use,
                    "after": list(step.after),
                    "would": "skip" if step.is_done else "run",
                    "settings": step.settings,
                    "lines": list(step.lines),
                }
                for step in self.steps
            ],
        }


def plan_pipeline(
    pipeline: Pipeline, *, state: StateStore | None, runs_folder: Path, engine_name: str, open_engine: EngineFactory
) -> Plan:
    """Read `pipeline`, what is done of it, and what the engine has; changes nothing.

    Raises:
        ConfigurationError: Use cases refuse their settings; carries all that they say (`mistakes`).
    """
    run = None if state is None else state.runs.latest(pipeline.key())
    done = {} if run is None or state is None else _done(state, run.id)
    run_id = run.id if run else f"{pipeline.name}-{pipeline.key()[:8]}"
    mistakes = Mistakes()
    with tempfile.TemporaryDirectory(prefix="bedplate-plan-") as scratch:
        engine = open_engine(Path(scratch))
        try:
            place = _Planned(pipeline=pipeline, engine=_LookOnly(engine), directory=runs_folder / run_id, done=done)
            steps = tuple(_planned(step, place, mistakes) for step in pipeline.steps)
            mistakes.raise_all()
            return Plan(
                name=pipeline.name, run_id=run.id if run else None, engine=engine_name, nodes=engine.resources(), steps=steps
            )
        finally:
            engine.close()


def check_settings_of(pipeline: Pipeline, mistakes: Mistakes, *, state: StateStore | None, runs_folder: Path) -> None:
    """Ask the use cases of the steps that are not done whether their settings make sense; needs no engine.

    Args:
        pipeline: What would run.
        mistakes: Takes what the use cases refuse.
        state: Where finished steps are looked up; None: nothing counts as done.
        runs_folder: Where the run's directory would be.
    """
    run = None if state is None else state.runs.latest(pipeline.key())
    done = {} if run is None or state is None else _done(state, run.id)
    directory = runs_folder / (run.id if run else pipeline.name)
    place = _Planned(pipeline=pipeline, engine=_NotOpened(), directory=directory, done=done)
    for step in pipeline.steps:
        if step.name not in done:
            # What else a plan raises is no mistake of the file: `bedplate plan` shows it, and a run does not depend on it.
            with contextlib.suppress(Exception), mistakes.collected():
                _lines(step, _settings(step, done), place)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What the steps of one pipeline are planned over."""

    pipeline: Pipeline
    engine: EngineView
    directory: Path
    """Of the run."""
    done: Mapping[str, StepResult]

    def context(self, step: Step) -> PlanContext:
        return PlanContext(
            name=step.name,
            run_id=self.directory.name,
            directory=self.directory / step.name,
            needs=self.pipeline.needs,
            engine=self.engine,
            results=self.done,
        )


def _done(state: StateStore, run_id: str) -> dict[str, StepResult]:
    records = state.steps.of_run(run_id)
    return {record.name: result_from_json(record.result) for record in records if record.status is Status.DONE}


def _planned(step: Step, place: _Planned, mistakes: Mistakes) -> PlannedStep:
    settings, is_done, lines = _settings(step, place.done), step.name in place.done, tuple[str, ...]()
    with mistakes.collected():
        lines = () if is_done else _lines(step, settings, place)
    return PlannedStep(
        name=step.name,
        use=step.case.name,
        after=tuple(dict.fromkeys((*step.inputs, *step.after))),
        is_done=is_done,
        settings=_as_json(settings),
        written=written_settings(settings),
        lines=lines,
    )


def _settings(step: Step, done: Mapping[str, StepResult]) -> Any:
    return step.settings({name: str(done[name].path) for name in step.inputs if name in done and done[name].path})


def _lines(step: Step, settings: Any, planned: _Planned) -> tuple[str, ...]:
    """What the use case says; what it says that the file is to blame for is raised with the line in the file."""
    try:
        return tuple(step.case.plan(settings, planned.context(step)))
    except (UsageError, NotFoundError) as error:
        refused = Mistakes()
        for each in error.mistakes if isinstance(error, ConfigurationError) else (error,):
            place = Place(step.source, ("steps", step.name, *error.setting))
            what = f"step '{step.name}': {each.what}"
            refused.found.append(place.error(what, each.seen, each.expected, each.next_step))
        refused.raise_all()
        raise
    except BedplateError as error:
        return (f"not known yet: {error}",)


class _LookOnly:
    """What a plan gets of the engine: nothing that launches, cancels or excludes."""

    def __init__(self, engine: Engine) -> None:
        self._resources, self.name = engine.resources, engine.name

    @implements(EngineView)
    def resources(self) -> tuple[Node, ...]:
        return self._resources()


class _NotOpened:
    """The engine before it is opened: what only it can tell is not known yet."""

    name = "not opened yet"

    @implements(EngineView)
    def resources(self) -> tuple[Node, ...]:
        raise UnavailableError("the engine is not open yet", expected="settings that can be judged without it")


def _as_json(settings: Any) -> JsonObject:
    """Settings as people write them: a field that ends in `_` is written without it."""
    values = {item.name.removesuffix("_"): getattr(settings, item.name) for item in dataclasses.fields(settings)}
    return {name: _as_json(value) if dataclasses.is_dataclass(value) else plain(value) for name, value in values.items()}
