"""Runs a pipeline, or resumes its last run: which run it is, which process may run it, and what of it is kept."""

from __future__ import annotations

from pathlib import Path

from bedplate._version import __version__
from bedplate.app.pipeline.contract.step import StepResult
from bedplate.app.pipeline.contract.stored import result_from_json
from bedplate.app.pipeline.file.definition import Pipeline
from bedplate.app.pipeline.run.attempt import Attempt, RunPlace
from bedplate.app.pipeline.run.lock import locked
from bedplate.app.pipeline.run.outcome import RunOutcome, read_outcome
from bedplate.app.pipeline.run.watch import RunWatcher
from bedplate.state.records import RunRecord, Status
from bedplate.state.runs import NewRun
from bedplate.state.store import StateStore


def run_pipeline(pipeline: Pipeline, place: RunPlace, watcher: RunWatcher, *, new: bool = False) -> RunOutcome:
    """Run `pipeline`, or resume its last run; a finished one is only read again, unless `new`.

    Returns:
        What became of it; a step that failed, or a cancellation, is in `status` and `error`.

    Raises:
        UnavailableError: Another process runs it, or the state or the engine is not available.
    """
    record = _claim(pipeline, place, new=new)
    directory = place.runs_folder / record.id
    with locked(directory, record.id, place.state) as lock:
        results = _kept_results(pipeline, place.state, record.id)
        if len(results) == len(pipeline.steps):
            return _already_done(place.state, record.id, directory)
        return Attempt(pipeline, place, watcher, record.id, directory, results, lock).run()


def _claim(pipeline: Pipeline, place: RunPlace, *, new: bool) -> RunRecord:
    wanted = NewRun(
        key=pipeline.key(),
        name=pipeline.name,
        file=pipeline.file,
        document=pipeline.document,
        engine=place.engine_name,
        version=__version__,
        step_uses={step.name: step.case.name for step in pipeline.steps},
    )
    return place.state.runs.claim(wanted, new=new)


def _already_done(state: StateStore, run_id: str, directory: Path) -> RunOutcome:
    run = state.runs.get(run_id)
    if run is None or run.status is not Status.DONE:
        state.runs.finish(run_id, Status.DONE, None)  # killed between its last step and its end
    return read_outcome(state, run_id, directory, Status.DONE, done_before=True)


def _kept_results(pipeline: Pipeline, state: StateStore, run_id: str) -> dict[str, StepResult]:
    """Results of finished steps. One whose file or folder is gone is forgotten, and so is all that came from it."""
    records = {record.name: record for record in state.steps.of_run(run_id)}
    kept: dict[str, StepResult] = {}
    for step in pipeline.steps:
        record = records[step.name]
        if record.status is not Status.DONE:
            continue
        result = result_from_json(record.result)
        is_there = result.path is None or result.path.exists()
        if is_there and all(name in kept for name in (*step.inputs, *step.after)):
            kept[step.name] = result
        else:
            state.steps.forget(run_id, step.name)
    return kept
