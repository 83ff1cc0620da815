"""Keeps a training gang alive: starts it, follows it, hurts it when a drill says so, and starts it again where it fell.

A gang that lost a worker cannot go on by itself: the survivors wait in a collective. So what is left is ended and the
whole gang is started again with the same memory files, from which it resumes. A run gives up after `restarts` failures
that were not drills, with the words of the rank that failed first; an error of the tree (wrong input, a loss that is
not finite) would come back every time, so it ends the run at once.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.app.pipeline.contract.gangs import raise_reported
from bedplate.app.pipeline.contract.step import StepContext
from bedplate.app.toolchain.train.story import Story
from bedplate.core.errors import ResourcesError, TaskError, UnavailableError
from bedplate.core.event_kinds import CheckpointCommitted, CheckpointPassedOver, TrainFailure, TrainResumed, make_event
from bedplate.core.events import MetricSample
from bedplate.core.json import Json, JsonObject
from bedplate.core.workload import ExitCause, Gang, Resources, Task, TaskEvent, TaskEventKind
from bedplate.engines.base import FaultInjection, GangHandle
from bedplate.storage.checkpoint.copier import DiskCopier
from bedplate.toolchain.train.settings import TrainSettings

ENTRY = "bedplate.workers.train:main"
BLAME_S = 2.0
"""How long to wait for the rank that failed first, when the one that was heard of says it only lost a peer."""
WORKER_ENVIRONMENT: Mapping[str, str] = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Memory that was freed is kept for the next tensor instead of going back to the kernel, which would zero it page by page
again: 1.5 s of system time in each step of 1,024 tokens of a 135M model became 0.02 s; huge pages save another tenth.
"""
_LOST_PEER = "PeerLostError"
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

    def __init__(self, context: StepContext, job: Job, story: Story, copier: DiskCopier | None) -> None:
        self._context, self._job, self._story, self._copier = context, job, story, copier
        self._reporter = context.reporter
        self._now = context.clock.now
        self._last_copy_step = 0
        self._drill_at_s: float | None = None
        self._waiting: set[int] = set()
        """Ranks that have done their part of the step and wait for the others."""

    def run(self) -> JsonObject:
        """Rank 0's result.

        Raises:
            TaskError: More failures than `restarts` allows; carries the failing rank's log.
            BedplateError: What a worker found wrong with its input.
            CancelledError: Somebody asked for the end.
            ResourcesError: Fewer free slots than `needs.workers.min`.
        """
        failures = 0
        while True:
            handle = self._submit()
            try:
                failed = self._follow(handle)
                if failed is None:
                    result = self._context.engine.status(handle).tasks[0].result
                    return result or {}
                is_drill = self._drill_at_s is not None
                self._record_failure(handle, failed, is_drill)
                failures += not is_drill
                if failures > self._job.settings.restarts:
                    raise self._give_up(handle, failed, failures)
            finally:
                self._context.engine.cancel(handle, grace_s=0.0)
            self._story.add("cancelled", self._now())

    def _submit(self) -> GangHandle:
        """Start as many workers as fit, `want` first and `min` at least."""
        workers = self._context.needs.workers
        for count in range(workers.want, workers.min - 1, -1):
            try:
                handle = self._context.engine.submit(self._gang(count))
            except ResourcesError:
                if count == workers.min:
                    raise
                continue
            self._story.add("attempt", self._now(), workers=count)
            if count < workers.want:
                self._reporter.say(f"only {count} of {workers.want} workers fit; each does more, the step stays the same")
            return handle
        raise AssertionError("min is at most want")

    def _gang(self, count: int) -> Gang:
        resources = Resources(cpus=self._context.needs.cpus_per_worker)
        task = Task(
            entry=self._job.entry,
            spec=self._job.spec,
            stores=self._job.stores,
            resources=resources,
            inherited=self._job.descriptors,
            environment=WORKER_ENVIRONMENT,
        )
        return Gang(name="train", tasks=(task,) * count, heartbeat_timeout_s=self._job.settings.hang_timeout)

    def _follow(self, handle: GangHandle) -> TaskEvent | None:
        """The event of the rank that is to blame, or None when all have finished."""
        engine, seen, running = self._context.engine, 0, handle.num_tasks
        exits: list[TaskEvent] = []
        self._waiting.clear()
        while running:
            self._reporter.check_cancelled()
            for event in engine.events(handle, after=seen, wait_s=0.25):
                seen = event.sequence + 1
                if event.kind is TaskEventKind.PROGRESS:
                    self._on_progress(handle, event)
                elif event.kind is TaskEventKind.EXITED:
                    running -= 1
                    self._raise_if_its_input_is_wrong(handle, event)
                    exits += [event] if event.attributes.get("cause") != ExitCause.FINISHED else []
            if exits and (running == 0 or not _only_lost_a_peer(exits) or self._now() - exits[0].at_s > BLAME_S):
                return min(exits, key=lambda event: (_only_lost_a_peer([event]), event.sequence))
        return None

    def _raise_if_its_input_is_wrong(self, handle: GangHandle, event: TaskEvent) -> None:
        for task in self._context.engine.status(handle).tasks:
            if task.rank == event.rank:
                raise_reported(task)

    def _on_progress(self, handle: GangHandle, event: TaskEvent) -> None:
        attributes = event.attributes
        phase = str(attributes.get("phase", ""))
        if phase == "exchange":
            self._waiting.add(event.rank)
            return
        self._waiting.discard(event.rank)
        if phase == "step":
            if event.rank == 0:
                self._on_step(handle, event)
            return
        self._story.add(phase, event.at_s, rank=event.rank, **{key: attributes[key] for key in attributes if key != "phase"})
        if phase == "checkpoint" and event.rank == 0:
            self._on_checkpoint(int(attributes["step"]))  # type: ignore[arg-type]
        elif phase == "passed_over":
            passed_over = CheckpointPassedOver(step=int(attributes["step"]), reason=str(attributes["reason"]))  # type: ignore[arg-type]
            self._emit(passed_over, f"checkpoint {passed_over.step}: {passed_over.reason}")
        elif phase == "loaded" and event.rank == 0 and attributes["resumed_from"]:
            resumed = TrainResumed(step=int(attributes["resumed_from"]), store=str(attributes["store"]))  # type: ignore[arg-type]
            self._emit(resumed, f"resumed from step {resumed.step} in {resumed.store}")
        elif phase == "evaluated" and event.rank == 0:
            self._reporter.say(f"perplexity on held-out text {attributes['when']} training: {attributes['perplexity']:.2f}")

    def _on_step(self, handle: GangHandle, event: TaskEvent) -> None:
        attributes, step = event.attributes, int(event.attributes["step"])  # type: ignore[arg-type]
        self._story.add("step", event.at_s, **{key: attributes[key] for key in attributes if key != "phase"})
        settings, workers = self._job.settings, self._context.needs.workers.want
        tokens = settings.tokens_per_step(workers)
        self._reporter.progress(step * tokens, settings.num_steps(workers) * tokens, "tokens")
        labels = {"job": self._context.name}
        for name in ("loss", "gradient_norm", "learning_rate"):
            self._sample(f"train_{name}", attributes[name], event.at_s, labels)
        self._sample("train_tokens_per_s", tokens / max(1e-9, float(attributes["seconds"])), event.at_s, labels)  # type: ignore[arg-type]
        drill = settings.drill
        if drill is not None and step >= drill.at_step and not self._story.of("drill"):
            self._kill(handle, drill.kill % handle.num_tasks, step)

    def _kill(self, handle: GangHandle, rank: int, step: int) -> None:
        engine = self._context.engine
        if not isinstance(engine, FaultInjection):
            raise UnavailableError(f"the engine '{engine.name}' cannot kill a worker", next_step="remove 'drill'")
        self._reporter.say(f"drill: killing worker {rank} after step {step} (SIGKILL)")
        self._drill_at_s = self._now()
        self._story.add("drill", self._drill_at_s, rank=rank, step=step)
        engine.kill(handle, rank, signal.SIGKILL)

    def _on_checkpoint(self, step: int) -> None:
        self._emit(CheckpointCommitted(step=step), f"step {step}")
        is_last = step >= self._job.settings.num_steps(self._context.needs.workers.want)
        if self._copier and not is_last and step - self._last_copy_step >= self._job.settings.checkpoint.disk_every:
            self._last_copy_step = step
            self._copier.wake()

    def _record_failure(self, handle: GangHandle, event: TaskEvent, is_drill: bool) -> None:
        detected_s = self._now()
        cause = str(event.attributes.get("cause", ""))
        began_s = self._drill_at_s if self._drill_at_s is not None else event.at_s
        kind = "drill" if is_drill else cause
        message = str(event.attributes.get("message", ""))
        self._story.add("failure", began_s, failure=kind, rank=event.rank, detected_s=detected_s, message=message)
        failure = TrainFailure(rank=event.rank, cause=cause, detail=message)
        self._emit(failure, f"rank {event.rank} ended ({cause}): {message}")
        self._reporter.say(
            f"worker {event.rank} ended ({cause}): {message or 'killed'}; starting again from the last checkpoint"
        )
        self._drill_at_s = None

    def _to_blame(self, event: TaskEvent, handle: GangHandle) -> int:
        """The rank at fault: one that hangs lets the others wait for it in silence, and any may be found silent first."""
        if event.attributes.get("cause") == ExitCause.HUNG and event.rank in self._waiting:
            return next((rank for rank in range(handle.num_tasks) if rank not in self._waiting), event.rank)
        return event.rank

    def _give_up(self, handle: GangHandle, event: TaskEvent, failures: int) -> TaskError:
        tail = "\n".join(self._context.engine.logs(handle, event.rank).splitlines()[-_LOG_LINES:])
        return TaskError(
            f"training failed {failures} times; rank {event.rank} ended with '{event.attributes.get('cause')}'",
            seen=event.attributes.get("message"),
            expected=f"at most {self._job.settings.restarts} failures ('restarts')",
            next_step=f"its log ends with:\n{tail}",
        )

    def _emit(self, facts: object, message: str) -> None:
        self._context.events.emit(make_event(facts, at_s=self._now(), message=message, source="train"))

    def _sample(self, name: str, value: Json, at_s: float, labels: Mapping[str, str]) -> None:
        self._context.events.sample(MetricSample(name=name, value=float(value), at_s=at_s, labels=labels))  # type: ignore[arg-type]


def _only_lost_a_peer(exits: list[TaskEvent]) -> bool:
    return all(_LOST_PEER in str(event.attributes.get("message", "")) for event in exits)
