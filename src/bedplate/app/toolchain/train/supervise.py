"""Keeps a training gang alive: starts it, follows it, kills a worker when a drill asks for it, and restarts it after failures.

A gang that lost a worker cannot continue by itself: the survivors wait in a collective. So what is left is ended and the
gang is started again with the same memory files, from which it resumes. A run gives up after `restarts` failures
that were not drills, with the words of the rank that failed first. What a worker found wrong with its input (or a loss that
is not finite) would be found again every time, so it ends the run immediately.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.app.pipeline.contract.accelerators import device_choices
from bedplate.app.pipeline.contract.measured import extent_of
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.train.follow import Exit, GangFollower
from bedplate.app.toolchain.train.journal import Drill, Failure, GangCleared, TrainingJournal
from bedplate.core.errors import ResourcesError, TaskError, UnavailableError
from bedplate.core.events.event import MetricSample
from bedplate.core.events.kinds import (
    CheckpointCommitted,
    CheckpointPassedOver,
    TrainFailure,
    TrainResumed,
    TrainStepSkipped,
    make_event,
)
from bedplate.core.json import JsonObject
from bedplate.core.messages import decode
from bedplate.core.workload import Gang, Resources, Task, TaskEvent
from bedplate.engines.base import FaultInjection, GangHandle
from bedplate.storage.checkpoint.copier import DiskCopier
from bedplate.toolchain.train.messages import (
    Built,
    CheckpointRejected,
    CheckpointSaved,
    Evaluated,
    Loaded,
    Report,
    StepReport,
    TrainingResult,
    WaitBegan,
)
from bedplate.toolchain.train.settings import TrainSettings

ENTRY = "bedplate.workers.train:main"
WORKER_ENVIRONMENT: Mapping[str, str] = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Memory that was freed is kept for the next tensor instead of going back to the kernel, which would zero it page by page
again: 1.5 s of system time in each step of 1,024 tokens of a 135M model became 0.02 s; huge pages save another tenth.
"""
_LOG_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every attempt is started with."""

    settings: TrainSettings
    spec: JsonObject
    stores: Mapping[str, str]
    descriptors: Mapping[str, int]
    """Memory files by name; the same for all attempts."""
    entry: str = ENTRY


class Supervisor:
    """Runs a job to its end on the step's engine."""

    def __init__(self, context: StepContext, job: Job, journal: TrainingJournal, copier: DiskCopier | None) -> None:
        self._context, self._job, self._journal, self._copier = context, job, journal, copier
        self._reporter = context.reporter
        self._now = context.clock.now
        self._num_steps = job.settings.num_steps(context.needs.workers.want)
        self._last_copy_step = 0
        self._drill_at_s: float | None = None
        self._saved_by: dict[int, set[int]] = {}
        """Ranks that have saved their share of a checkpoint, by step, until all have."""
        self._num_passed_over = 0
        """Checkpoints that this attempt could not use."""

    def run(self) -> TrainingResult:
        """Rank 0's result.

        Raises:
            TaskError: More failures than `restarts` allows; carries the failing rank's log.
            BedplateError: What a worker found wrong with its input.
            CancelledError: Cancellation was requested.
            ResourcesError: Fewer workers fit than `needs.workers.min`, or the engine has no device of the kind that is needed.
        """
        failures = 0
        while True:
            handle = self._submit()
            try:
                failed = self._follower(handle).follow()
                if failed is None:
                    return decode(TrainingResult, self._context.engine.status(handle).tasks[0].result)
                is_drill = self._drill_at_s is not None
                self._record_failure(failed, is_drill)
                failures += not is_drill
                if failures > self._job.settings.restarts:
                    raise self._give_up(handle, failed, failures)
            finally:
                self._context.engine.cancel(handle, grace_s=0.0)
            self._journal.add(self._now(), GangCleared())

    def _follower(self, handle: GangHandle) -> GangFollower:
        return GangFollower(self._context.engine, handle, self._reporter, self._context.clock, self._on_report)

    def _submit(self) -> GangHandle:
        """Start as many workers as fit, `want` first and `min` at least."""
        workers = self._context.needs.workers
        choices = device_choices(self._context.needs.words, self._context.engine.resources())
        refused: ResourcesError | None = None
        for count, choice in itertools.product(range(workers.want, workers.min - 1, -1), choices):
            try:
                handle = self._context.engine.submit(self._gang(count, choice.resources(self._context.needs.cpus_per_worker)))
            except ResourcesError as error:
                refused = error
                continue
            self._saved_by.clear()
            self._num_passed_over = 0
            engine = self._context.engine
            extent = extent_of(engine.status(handle).tasks, engine.resources())
            self._journal.begin_attempt(self._now(), count, extent)
            if count < workers.want:
                self._reporter.say(f"only {count} of {workers.want} workers fit; each takes a larger share of every step")
            if choice.model:
                self._reporter.say(f"each worker computes on one {choice}")
            return handle
        assert refused is not None  # min is at most want, and there is at least one choice
        raise refused

    def _gang(self, count: int, resources: Resources) -> Gang:
        task = Task(
            entry=self._job.entry,
            spec=self._job.spec,
            stores=self._job.stores,
            resources=resources,
            inherited=self._job.descriptors,
            environment=WORKER_ENVIRONMENT,
        )
        return Gang(name="train", tasks=(task,) * count, heartbeat_timeout_s=self._job.settings.hang_timeout)

    def _on_report(self, handle: GangHandle, event: TaskEvent, report: Report) -> None:
        if not isinstance(report, WaitBegan) and (event.rank == 0 or not isinstance(report, StepReport)):
            self._journal.add(event.at_s, report, event.rank)
        match report:
            case CheckpointRejected():
                passed_over = CheckpointPassedOver(step=report.step, reason=report.reason)
                self._emit(passed_over, f"checkpoint {report.step}: {report.reason}")
                if event.rank == 0:  # every rank reads every share, so one line says it
                    self._num_passed_over += 1
                    reason = f"in {report.store}: {report.reason}"
                    self._reporter.say(f"checkpoint of step {report.step} cannot be used ({reason}); trying an older one")
            case Built() if event.rank == 0 and report.precision not in ("", self._job.settings.precision):
                wanted = self._job.settings.precision
                self._reporter.say(f"devices of '{report.backend}' do not compute in {wanted}: training in {report.precision}")
            case StepReport() if event.rank == 0:
                self._on_step(handle, event.at_s, report)
            case CheckpointSaved():
                self._on_checkpoint(handle, event.rank, report.step)
            case Loaded() if event.rank == 0:
                self._on_loaded(report)
            case Evaluated() if event.rank == 0:
                self._reporter.say(f"perplexity on held-out text {report.when} training: {report.perplexity:.2f}")

    def _on_loaded(self, report: Loaded) -> None:
        if report.resumed_from:
            said = f"resumed from step {report.resumed_from} in {report.store}"
            self._emit(TrainResumed(step=report.resumed_from, store=str(report.store)), said)
            self._reporter.say(said)
        elif self._num_passed_over:
            self._reporter.say(
                f"warning: none of the checkpoints could be used ({self._num_passed_over} tried); training starts from step 0"
            )

    def _on_step(self, handle: GangHandle, at_s: float, report: StepReport) -> None:
        tokens = self._job.settings.tokens_per_step(self._context.needs.workers.want)
        self._reporter.progress(report.step * tokens, self._num_steps * tokens, "tokens")
        self._sample("train_loss", report.loss, at_s)
        self._sample("train_gradient_norm", report.gradient_norm, at_s)
        self._sample("train_learning_rate", report.learning_rate, at_s)
        self._sample("train_tokens_per_s", tokens / max(1e-9, report.seconds), at_s)
        if report.is_skipped:
            seen = f"loss {report.loss:g}, gradient norm {report.gradient_norm:g}"
            self._reporter.say(f"step {report.step} was skipped: {seen}")
            skipped = TrainStepSkipped(step=report.step, loss=report.loss, gradient_norm=report.gradient_norm)
            self._emit(skipped, f"step {report.step}: {seen}")
        drill = self._job.settings.drill
        if drill is not None and report.step >= drill.at_step and not self._journal.of(Drill):
            self._kill(handle, drill.kill % handle.num_tasks, report.step)

    def _kill(self, handle: GangHandle, rank: int, step: int) -> None:
        engine = self._context.engine
        if not isinstance(engine, FaultInjection):
            raise UnavailableError(f"the engine '{engine.name}' cannot kill a worker", next_step="remove 'drill'")
        self._reporter.say(f"drill: killing worker {rank} after step {step} (SIGKILL)")
        self._drill_at_s = self._now()
        self._journal.add(self._drill_at_s, Drill(step=step), rank)
        engine.kill(handle, rank, signal.SIGKILL)

    def _on_checkpoint(self, handle: GangHandle, rank: int, step: int) -> None:
        """A checkpoint counts once every rank has saved its share."""
        self._saved_by.setdefault(step, set()).add(rank)
        if len(self._saved_by[step]) < handle.num_tasks:
            return
        self._saved_by = {later: ranks for later, ranks in self._saved_by.items() if later > step}
        self._emit(CheckpointCommitted(step=step), f"step {step}")
        is_last = step >= self._num_steps
        if self._copier and not is_last and step - self._last_copy_step >= self._job.settings.checkpoint.disk_every:
            self._last_copy_step = step
            self._copier.wake()

    def _record_failure(self, failed: Exit, is_drill: bool) -> None:
        began_s = failed.at_s if self._drill_at_s is None else self._drill_at_s
        cause = "drill" if is_drill else failed.cause
        self._journal.add(began_s, Failure(cause=cause, detected_s=self._now(), message=failed.message), failed.rank)
        failure = TrainFailure(rank=failed.rank, cause=failed.cause, detail=failed.message)
        self._emit(failure, f"rank {failed.rank} ended ({failed.cause}): {failed.message}")
        self._reporter.say(
            f"worker {failed.rank} ended ({failed.cause}): {failed.message or 'killed'}; restarting from the last checkpoint"
        )
        self._drill_at_s = None

    def _give_up(self, handle: GangHandle, failed: Exit, failures: int) -> TaskError:
        tail = "\n".join(self._context.engine.logs(handle, failed.rank).splitlines()[-_LOG_LINES:])
        return TaskError(
            f"training failed {failures} times; rank {failed.rank} ended with '{failed.cause}'",
            seen=failed.message or None,
            expected=f"at most {self._job.settings.restarts} failures ('restarts')",
            next_step=f"its log ends with:\n{tail}",
        )

    def _emit(self, facts: object, message: str) -> None:
        self._context.events.emit(make_event(facts, at_s=self._now(), message=message, source="train"))

    def _sample(self, name: str, value: float, at_s: float) -> None:
        labels = {"job": self._context.name}
        self._context.events.sample(MetricSample(name=name, value=value, at_s=at_s, labels=labels))
