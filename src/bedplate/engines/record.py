"""The story of one gang, kept the same way by every engine: task states, ordered events, a bounded buffer.

An engine says what happened (`started`, `heard`, `progress`, `node_lost`, `exited`); the record numbers it, moves the task's
state and answers `status` and `events`. It has no lock and no thread: the engine that owns it serialises the calls.

Bound: a record keeps every `started`, `node-lost` and `exited` event, and the newest `MAX_PROGRESS_EVENTS` progress
events. Who reads later than that sees the hole as a jump in `sequence`; numbers are never reused.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bedplate.core.errors import UsageError
from bedplate.core.json import Json, JsonObject, canonical
from bedplate.core.workload import ExitCause, Gang, GangStatus, TaskEvent, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.base import EngineStatistics

MAX_PROGRESS_EVENTS = 10_000
"""Newest progress events kept of each gang."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STATE_AFTER = {ExitCause.FINISHED: TaskState.DONE, ExitCause.CANCELLED: TaskState.CANCELLED}


def check_gang(gang: Gang) -> None:
    """Refuse a gang that no engine could run.

    Raises:
        UsageError: No tasks, a name that is not fit for a path, a malformed entry, cpus below 1, a spec that is not JSON.
    """
    if not gang.tasks:
        raise UsageError(f"gang '{gang.name}' has no tasks", expected="one task a rank")
    if not _NAME.fullmatch(gang.name):
        raise UsageError("a gang's name must fit a path", seen=repr(gang.name), expected="letters, digits, '.', '_', '-'")
    for rank, task in enumerate(gang.tasks):
        if task.entry.count(":") != 1 or not all(task.entry.split(":")):
            raise UsageError(f"rank {rank}: not an entry", seen=repr(task.entry), expected="package.module:function")
        if task.resources.cpus < 1 or task.resources.accelerators < 0:
            raise UsageError(f"rank {rank}: a task needs at least one core", seen=task.resources)
        try:
            canonical({"spec": task.spec, "stores": task.stores})
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"rank {rank}: the spec is not JSON", seen=error, expected="numbers, text, lists, mappings"
            ) from error


class GangRecord:
    """States and events of one gang."""

    def __init__(self, name: str, tasks: tuple[TaskStatus, ...], max_progress_events: int = MAX_PROGRESS_EVENTS) -> None:
        self.name = name
        self.num_events = 0
        self.num_dropped = 0
        """Progress events that the buffer no longer has."""
        self._tasks = list(tasks)
        self._num_final = 0
        self._events: list[TaskEvent] = []
        self._max_progress = max_progress_events
        self._num_progress = 0

    @property
    def is_final(self) -> bool:
        """Whether every task has ended; O(1)."""
        return self._num_final == len(self._tasks)

    def task(self, rank: int) -> TaskStatus:
        """Status of one task.

        Raises:
            UsageError: The gang has no such rank.
        """
        if not 0 <= rank < len(self._tasks):
            raise UsageError(f"gang '{self.name}' has no rank {rank}", seen=rank, expected=f"0 to {len(self._tasks) - 1}")
        return self._tasks[rank]

    def status(self) -> GangStatus:
        """Status of all tasks."""
        return GangStatus(name=self.name, tasks=tuple(self._tasks))

    def events(self, after: int = 0) -> tuple[TaskEvent, ...]:
        """Kept events from sequence number `after` on; O(log n) and the answer."""
        start = bisect.bisect_left(self._events, after, key=lambda event: event.sequence)
        return tuple(self._events[start:])

    def started(self, rank: int, at_s: float, pid: int | None = None) -> None:
        """The task runs now."""
        status = replace(self._tasks[rank], state=TaskState.RUNNING, pid=pid, last_heard_s=at_s)
        self._tasks[rank] = status
        self._add(TaskEventKind.STARTED, rank, at_s, {"pid": pid, "node": status.node, "cores": list(status.cores)})

    def heard(self, rank: int, at_s: float) -> None:
        """The task gave a heartbeat."""
        self._tasks[rank] = replace(self._tasks[rank], last_heard_s=at_s)

    def progress(self, rank: int, at_s: float, attributes: Mapping[str, Json]) -> None:
        """The task reported something; counts as a heartbeat."""
        self.heard(rank, at_s)
        self._add(TaskEventKind.PROGRESS, rank, at_s, attributes)
        self._num_progress += 1
        if self._num_progress > self._max_progress * 5 // 4:
            self._drop_oldest_progress()

    def node_lost(self, rank: int, at_s: float) -> None:
        """The machine under the task went away; its `exited` follows."""
        self._add(TaskEventKind.NODE_LOST, rank, at_s, {"node": self._tasks[rank].node})

    def exited(
        self,
        rank: int,
        at_s: float,
        *,
        exit_code: int | None,
        cause: ExitCause,
        message: str = "",
        result: JsonObject | None = None,
    ) -> None:
        """The task has ended; nothing may follow for it."""
        assert not self._tasks[rank].state.is_final, f"rank {rank} of '{self.name}' ended twice"
        self._tasks[rank] = replace(
            self._tasks[rank],
            state=_STATE_AFTER.get(cause, TaskState.FAILED),
            exit_code=exit_code,
            cause=cause,
            message=message,
            result=result,
        )
        self._num_final += 1
        self._add(
            TaskEventKind.EXITED,
            rank,
            at_s,
            {"exit_code": exit_code, "cause": cause.value, "message": message, "result": result},
        )

    def _add(self, kind: TaskEventKind, rank: int, at_s: float, attributes: JsonObject) -> None:
        self._events.append(TaskEvent(sequence=self.num_events, kind=kind, at_s=at_s, rank=rank, attributes=attributes))
        self.num_events += 1

    def _drop_oldest_progress(self) -> None:
        surplus = self._num_progress - self._max_progress
        kept = []
        for event in self._events:
            if surplus and event.kind is TaskEventKind.PROGRESS:
                surplus -= 1
                self.num_dropped += 1
            else:
                kept.append(event)
        self._events = kept
        self._num_progress = self._max_progress


def statistics_of(records: Sequence[GangRecord]) -> EngineStatistics:
    """Counters over all gangs of an engine."""
    tasks = [task for record in records for task in record.status().tasks]
    return EngineStatistics(
        gangs_submitted=len(records),
        gangs_running=sum(not record.is_final for record in records),
        tasks_started=sum(task.state is not TaskState.WAITING for task in tasks),
        tasks_running=sum(task.state is TaskState.RUNNING for task in tasks),
        tasks_failed=sum(task.state is TaskState.FAILED for task in tasks),
        events=sum(record.num_events for record in records),
        events_dropped=sum(record.num_dropped for record in records),
    )
