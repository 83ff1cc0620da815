"""One attempt at a run: opens the engine, runs the steps that are not done, and keeps what each gives.

The order of writing is what makes a run resumable: a step is marked running, works in its own directory, and its result,
measurements and status are committed in one transaction. Killed in between, it is not done, and runs again.
"""

from __future__ import annotations

import functools
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.app.pipeline.contract.step import StepContext, StepResult
from bedplate.app.pipeline.contract.stored import result_as_json
from bedplate.app.pipeline.contract.use_case import explanation_of
from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.app.pipeline.file.definition import Pipeline, Step
from bedplate.app.pipeline.file.inputs import named_inputs
from bedplate.app.pipeline.run.cancellation import Cancellation
from bedplate.app.pipeline.run.exclusions import exclude_again, exclusions_of
from bedplate.app.pipeline.run.failure import as_bedplate_error, error_as_json, status_after
from bedplate.app.pipeline.run.memory import PeakMemory
from bedplate.app.pipeline.run.outage import through_outages
from bedplate.app.pipeline.run.outcome import RunOutcome, read_outcome
from bedplate.app.pipeline.run.process import identity_as_json, this_process
from bedplate.app.pipeline.run.step_gangs import StepGangs
from bedplate.app.pipeline.run.ticker import Ticker
from bedplate.app.pipeline.run.upkeep import Upkeep
from bedplate.app.pipeline.run.watch import RunWatcher, SafeWatcher
from bedplate.core.devices import Exclusion, hardware_text
from bedplate.core.errors import BedplateError, CheckFailedError, UsageError
from bedplate.core.events.kinds import StepCancelled, StepDone, StepFailed, StepStarted, StepTraceback, make_event
from bedplate.core.measurement import Measurement, Provenance, measured
from bedplate.core.reporter import CallbackReporter
from bedplate.engines.base import CanInheritDescriptors, Engine, EngineFactory, GangHandle
from bedplate.operations.host.other_work import OtherWork, tree_cpu_s
from bedplate.state.database.locks import RunLock
from bedplate.state.records import ExclusionRecord, GangRecord, Status
from bedplate.state.sink import StateSink
from bedplate.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """What a run stands on."""

    state: StateStore
    runs_folder: Path
    """Every run has a directory of its own in it."""
    engine_name: str
    open_engine: EngineFactory


class Attempt:
    """One attempt at a run, from its engine's opening to its end."""

    def __init__(
        self,
        pipeline: Pipeline,
        place: RunPlace,
        watcher: RunWatcher,
        run_id: str,
        directory: Path,
        results: dict[str, StepResult],
        lock: RunLock,
    ) -> None:
        self._pipeline, self._state, self._watcher = pipeline, place.state, SafeWatcher(watcher)
        self._run_id, self._directory, self._results = run_id, directory, results
        self._clock = place.state.clock
        self._cancellation = Cancellation()
        self._memory = PeakMemory(_earlier_peak_bytes(place.state, run_id))
        self._hardware = ""
        self._attempt = place.state.runs.start_attempt(run_id, place.engine_name, identity_as_json(this_process()))
        self._upkeep = Upkeep(place.state, run_id, self._attempt, lock, self._cancellation, self._watcher)
        self._open_engine = place.open_engine
        self._sink = StateSink.for_run(place.state, run_id)
        self._gangs = StepGangs(self._sink, self._note_gang)

    def run(self) -> RunOutcome:
        """Run what is not done."""
        names = tuple(step.name for step in self._pipeline.steps)
        self._watcher.run_started(self._run_id, names, tuple(name for name in names if name in self._results))
        error: BedplateError | None = None
        with self._cancellation.on_signals():
            try:
                with Ticker(self._jobs()) as ticker:
                    self._run_in_engine()
                for lost in (*ticker.errors, *filter(None, [self._sink.error])):
                    self._say_for_run(f"some of the run's bookkeeping was not stored: {lost}")
            except (Exception, KeyboardInterrupt) as raised:
                error = self._understood(raised, "the run")
            finally:
                self._sink.close()
        return self._end(error)

    def _jobs(self) -> tuple[Callable[[], None], ...]:
        return (self._memory.sample, *self._upkeep.jobs(), self._gangs.collect)

    def _run_in_engine(self) -> None:
        engine_folder = self._directory / "engine" / str(self._attempt)
        engine_folder.mkdir(parents=True, exist_ok=True)
        engine = self._open_engine(engine_folder)
        try:
            self._hardware = hardware_text(engine.resources())
            exclude_again(engine, self._state.exclusions.of_run(self._run_id))
            for step in self._pipeline.steps:
                if step.name not in self._results:
                    self._cancellation.check()
                    self._run_step(step, engine)
        finally:
            self._gangs.close()
            engine.close()

    def _run_step(self, step: Step, engine: Engine) -> None:
        self._store(lambda: self._state.steps.start(self._run_id, step.name))
        self._watcher.step_started(step.name, step.case.name, explanation_of(step.case))
        self._note(StepStarted(use=step.case.name), step.name)
        self._gangs.begin_step(engine, step.name)
        excluded = exclusions_of(engine)
        start_s = self._clock.now()
        try:
            result = step.case.run(step.settings(self._paths_for(step)), self._context(step, engine))
            seconds = self._clock.now() - start_s
            self._gangs.end_step()
            _check_inputs(step)
            self._note_exclusions(step.name, exclusions_of(engine) - excluded)
            measured = [_dated(item, self._clock.now()) for item in result.measurements]
            stored = result_as_json(result)
            self._store(
                lambda: self._state.steps.finish(self._run_id, step.name, seconds=seconds, result=stored, measured=measured)
            )
        except (Exception, KeyboardInterrupt) as raised:
            error = self._understood(raised, f"step '{step.name}'", step.name)
            self._step_failed(step, error, self._clock.now() - start_s)
            raise error from raised
        self._upkeep.end_step()
        self._results[step.name] = result
        self._store_peak_memory()
        self._gangs.collect()
        self._note(StepDone(seconds=seconds), step.name, f"{seconds:.3f} s")
        self._watcher.step_ended(step.name, Status.DONE, seconds, None)

    def _paths_for(self, step: Step) -> Mapping[str, str]:
        paths = {}
        for name in step.inputs:
            path = self._results[name].path
            if path is None:
                raise UsageError(f"step '{step.name}' refers to ${name}, which has no path", next_step="use 'after'")
            paths[name] = str(path)
        return paths

    def _context(self, step: Step, engine: Engine) -> StepContext:
        directory = self._directory / step.name
        directory.mkdir(parents=True, exist_ok=True)
        return StepContext(
            name=step.name,
            run_id=self._run_id,
            directory=directory,
            needs=self._pipeline.needs,
            engine=engine,
            events=self._sink.for_step(step.name),
            clock=self._clock,
            results=dict(self._results),
            reporter=CallbackReporter(
                on_say=lambda text: self._watcher.said(step.name, text),
                on_progress=functools.partial(self._upkeep.take_progress, step.name),
                on_check=self._cancellation.check,
            ),
            seconds=self._seconds(),
            busy_frac=self._busy_frac(engine),
        )

    def _busy_frac(self, engine: Engine) -> Callable[[], float | None]:
        """Watches from now on; only processes that descend from this one can be told from other work."""
        if not isinstance(engine, CanInheritDescriptors):
            return lambda: None
        return OtherWork(own_cpu_s=tree_cpu_s).busy_frac

    def _seconds(self) -> Mapping[str, float]:
        return {
            step.name: step.seconds
            for step in through_outages(lambda: self._state.steps.of_run(self._run_id), self._clock, self._say_for_run)
            if step.seconds and step.name in self._results
        }

    def _note_gang(self, step: str, handle: GangHandle) -> None:
        gang = GangRecord(step=step, attempt=self._attempt, id=handle.id, num_tasks=handle.num_tasks)
        self._state.gangs.add(self._run_id, gang)

    def _note_exclusions(self, step: str, exclusions: Counter[Exclusion]) -> None:
        for item in exclusions.elements():
            record = ExclusionRecord(step=step, node_id=item.node_id, cores=item.cores, reason=item.reason)
            self._state.exclusions.add(self._run_id, record)

    def _understood(self, raised: BaseException, who: str, step: str = "") -> BedplateError:
        error = as_bedplate_error(raised, who, self._run_id)
        if error is not raised and type(error) is BedplateError:
            text = "".join(traceback.format_exception(raised))
            self._note(StepTraceback(error=type(raised).__name__), step, text)
        return error

    def _step_failed(self, step: Step, error: BedplateError, seconds: float) -> None:
        status = status_after(error)
        self._upkeep.end_step()
        self._gangs.collect()
        if status is Status.CANCELLED:
            self._note(StepCancelled(reason=error.seen or "", seconds=seconds), step.name, str(error))
        else:
            self._note(StepFailed(code=error.code, seconds=seconds), step.name, str(error))
        document = error_as_json(error)
        self._store(lambda: self._state.steps.fail(self._run_id, step.name, status, seconds=seconds, error=document))
        self._watcher.step_ended(step.name, status, seconds, error)

    def _store_peak_memory(self) -> None:
        peak = measured(
            {"peak_memory_bytes": self._memory.peak_bytes},
            provenance=Provenance.MEASURED,
            hardware=self._hardware,
            scale="sum of PSS over all processes of the run",
            source="runner",
            at_s=self._clock.now(),
        )
        self._store(lambda: self._state.measurements.replace_of_run(self._run_id, peak))

    def _note(self, facts: object, step: str, message: str = "") -> None:
        self._sink.emit(make_event(facts, at_s=self._clock.now(), message=message, source="runner"), step)

    def _store(self, action: Callable[[], None]) -> None:
        through_outages(action, self._clock, self._say_for_run)

    def _say_for_run(self, text: str) -> None:
        self._watcher.said("", text)

    def _end(self, error: BedplateError | None) -> RunOutcome:
        status = status_after(error)
        self._store_peak_memory()
        document = error_as_json(error)
        self._store(lambda: self._state.runs.finish(self._run_id, status, document, attempt=self._attempt))
        self._watcher.run_ended(status)
        return read_outcome(self._state, self._run_id, self._directory, status, error=error)


def _check_inputs(step: Step) -> None:
    """A step that may have read other content than the run is known by must not count as done."""
    digests = ContentDigests.of_user()
    now = {(str(item[0]), str(item[1])): item for item in step.read_inputs(digests)}
    digests.save()
    before = {(str(item[0]), str(item[1])): item for item in step.inputs_read}
    paths = {place: file for place, file, _ in named_inputs(step.case.settings, step.written)}
    changed = [
        str(paths[place] / name)
        for place, name in sorted(now.keys() | before.keys())
        if now.get((place, name)) != before.get((place, name))
    ]
    if changed:
        raise CheckFailedError(
            f"an input of step '{step.name}' changed during the run",
            seen=changed[0] + (f" and {len(changed) - 1} more" if len(changed) > 1 else ""),
            expected="the content with which the run began",
            next_step="run the same command again: the changed content makes a new run",
        )


def _dated(item: Measurement, now_s: float) -> Measurement:
    return item if item.at_s else replace(item, at_s=now_s)


def _earlier_peak_bytes(state: StateStore, run_id: str) -> int:
    peaks = [item.value for item in state.measurements.of_run(run_id) if item.id == "peak_memory_bytes" and item.value]
    return int(max(peaks, default=0))
