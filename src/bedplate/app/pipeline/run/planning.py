"""What a pipeline would do, and why: the same reading and checking as for a run, and nothing written."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.app.pipeline.contract.step import EngineView, PlanContext, StepResult
from bedplate.app.pipeline.contract.stored import result_from_json
from bedplate.app.pipeline.file.definition import Pipeline, Step
from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError
from bedplate.core.implements import implements
from bedplate.core.json import JsonObject, plain
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
    """Read `pipeline`, what is done of it, and what the engine has; changes nothing."""
    run = None if state is None else state.runs.latest(pipeline.key())
    done = {} if run is None or state is None else _done(state, run.id)
    run_id = run.id if run else f"{pipeline.name}-{pipeline.key()[:8]}"
    with tempfile.TemporaryDirectory(prefix="bedplate-plan-") as scratch:
        engine = open_engine(Path(scratch))
        try:
            steps = tuple(_planned(step, pipeline, engine, runs_folder / run_id, done) for step in pipeline.steps)
            return Plan(
                name=pipeline.name, run_id=run.id if run else None, engine=engine_name, nodes=engine.resources(), steps=steps
            )
        finally:
            engine.close()


def _done(state: StateStore, run_id: str) -> dict[str, StepResult]:
    records = state.steps.of_run(run_id)
    return {record.name: result_from_json(record.result) for record in records if record.status is Status.DONE}


def _planned(step: Step, pipeline: Pipeline, engine: Engine, directory: Path, done: dict[str, StepResult]) -> PlannedStep:
    settings = step.settings({name: str(done[name].path) for name in step.inputs if name in done and done[name].path})
    is_done = step.name in done
    return PlannedStep(
        name=step.name,
        use=step.case.name,
        after=tuple(dict.fromkeys((*step.inputs, *step.after))),
        is_done=is_done,
        settings=_as_json(settings),
        lines=() if is_done else _lines(step, settings, _looking_context(step, pipeline, engine, directory, done)),
    )


def _lines(step: Step, settings: Any, context: PlanContext) -> tuple[str, ...]:
    try:
        return tuple(step.case.plan(settings, context))
    except BedplateError as error:
        return (f"not known yet: {error}",)


def _looking_context(
    step: Step, pipeline: Pipeline, engine: Engine, directory: Path, done: dict[str, StepResult]
) -> PlanContext:
    return PlanContext(
        name=step.name,
        run_id=directory.name,
        directory=directory / step.name,
        needs=pipeline.needs,
        engine=_LookOnly(engine),
        results=done,
    )


class _LookOnly:
    """What a plan gets of the engine: nothing that launches, cancels or excludes."""

    def __init__(self, engine: Engine) -> None:
        self._resources, self.name = engine.resources, engine.name

    @implements(EngineView)
    def resources(self) -> tuple[Node, ...]:
        return self._resources()


def _as_json(settings: Any) -> JsonObject:
    """Settings as people write them: a field that ends in `_` is written without it."""
    values = {item.name.removesuffix("_"): getattr(settings, item.name) for item in dataclasses.fields(settings)}
    return {name: _as_json(value) if dataclasses.is_dataclass(value) else plain(value) for name, value in values.items()}
