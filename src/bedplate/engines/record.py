"""What an engine reports, kept the same way by every engine: states, one ordered sequence of events, counters.

An engine makes a `GangRecord` for each gang and says what happened to it (`started`, `heartbeat`, `progress`, `node_lost`,
`exited`). The record moves the task's state; the `EngineRecord` above it numbers the event over all gangs, counts, and says
that there is one. Neither has a lock or a thread: the engine that owns them serialises the calls (`recorded.py`).

Bound: a gang keeps every `started`, `node-lost` and `exited` event, and its newest `MAX_PROGRESS_EVENTS` progress events. Who
reads later than that sees a gap in its numbers, which are never reused. `forget` drops all that is kept of a gang; the counters
stay, so an engine can run any number of gangs in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.json import Json, JsonObject
from bedplate.core.workload import (
    ExitCause,
    GangHandle,
    GangStatus,
    Placement,
    TaskEvent,
    TaskEventKind,
    TaskState,
    TaskStatus,
)
from bedplate.engines.base import EngineStatistics
from bedplate.engines.event_sequence import EventSequence

MAX_PROGRESS_EVENTS = 10_000
"""Newest progress events kept of each gang."""

_STATE_AFTER = {ExitCause.FINISHED: TaskState.DONE, ExitCause.CANCELLED: TaskState.CANCELLED}


class EngineRecord:
    """The records of an engine's gangs, their events in one sequence, and counters over all gangs ever.

    Args:
        on_event: Called for every event, once it can be read.
        max_progress_events: Newest progress events kept of each gang.
    """

    def __init__(self, on_event: Callable[[], None] = lambda: None, *, max_progress_events: int = MAX_PROGRESS_EVENTS) -> None:
        self.num_events = 0
        """Events so far; the sequence number of the next one."""
        self._on_event = on_event
        self._max_progress = max_progress_events
        self._gangs: dict[str, GangRecord] = {}
        self._events = EventSequence()
        self._num_submitted = 0
        self._num_gangs_running = 0
        self._num_started = 0
        self._num_tasks_running = 0
        self._num_failed = 0
        self._num_dropped = 0

    def new(self, handle: GangHandle, placement: Placement) -> GangRecord:
        """The record of a gang that is about to start; not known until it is added."""
        return GangRecord(handle, placement, self, self._max_progress)

    def add(self, record: GangRecord) -> None:
        """Make a gang known that has started."""
        self._gangs[record.handle.id] = record
        self._num_submitted += 1
        self._num_gangs_running += 1

    def find(self, handle: GangHandle) -> GangRecord:
        """The record of a gang.

        Raises:
            NotFoundError: Not a gang of this engine, or one that was forgotten.
        """
        try:
            return self._gangs[handle.id]
        except KeyError:
            known = ", ".join(list(self._gangs)[-8:])
            raise NotFoundError(f"no gang '{handle.id}' in this engine", expected=known or "none is known") from None

    def gangs(self) -> tuple[GangHandle, ...]:
        """Gangs that are not forgotten, oldest first."""
        return tuple(record.handle for record in self._gangs.values())

    def events(self, handle: GangHandle | None = None, after: int = 0) -> tuple[TaskEvent, ...]:
        """Kept events from sequence number `after` on, of one gang or of all; O(log n) and the answer."""
        events = self._events if handle is None else self.find(handle).kept
        return events.since(after)

    def forget(self, handle: GangHandle) -> None:
        """Drop what is kept of a gang that has ended; amortised O(log n) an event of it.

        Raises:
            UsageError: It has not ended.
        """
        record = self.find(handle)
        if not record.is_final:
            raise UsageError(f"gang '{handle.id}' has not ended", next_step="cancel it first, or wait for it")
        self._events.drop(event.sequence for event in record.kept.since(0))
        del self._gangs[handle.id]

    def statistics(self) -> EngineStatistics:
        """Counters; O(1)."""
        return EngineStatistics(
            gangs_submitted=self._num_submitted,
            gangs_running=self._num_gangs_running,
            tasks_started=self._num_started,
            tasks_running=self._num_tasks_running,
            tasks_failed=self._num_failed,
            events=self.num_events,
            events_dropped=self._num_dropped,
        )

    def happened(self, record: GangRecord, kind: TaskEventKind, rank: int, at_s: float, attributes: JsonObject) -> TaskEvent:
        """Number an event of a gang; its record calls this."""
        event = TaskEvent(sequence=self.num_events, gang=record.handle, kind=kind, at_s=at_s, rank=rank, attributes=attributes)
        self.num_events += 1
        self._events.append(event)
        record.kept.append(event)
        self._on_event()
        return event

    def drop_progress(self, sequences: list[int]) -> None:
        """A gang's buffer of progress overflowed; its record calls this."""
        self._events.drop(sequences)
        self._num_dropped += len(sequences)

    def moved(self, before: TaskState, after: TaskState, *, is_gang_final: bool) -> None:
        """Count a task's change of state; its record calls this."""
        self._num_started += before is TaskState.WAITING and (after is TaskState.RUNNING or after.is_final)
        self._num_tasks_running += (after is TaskState.RUNNING) - (before is TaskState.RUNNING)
        self._num_failed += after is TaskState.FAILED
        self._num_gangs_running -= is_gang_final


class GangRecord:
    """States and events of one gang. Made by `EngineRecord.new`."""

    def __init__(self, handle: GangHandle, placement: Placement, engine: EngineRecord, max_progress_events: int) -> None:
        self.handle = handle
        self.kept = EventSequence()
        self._engine = engine
        self._tasks = [
            TaskStatus(rank=rank, state=TaskState.WAITING, node=place.node, cores=place.cores, devices=place.devices)
            for rank, place in enumerate(placement.tasks)
        ]
        self._num_final = 0
        self._max_progress = max_progress_events
        self._progress: list[int] = []

    @property
    def is_final(self) -> bool:
        """Whether every task has ended; O(1)."""
        return self._num_final == len(self._tasks)

    def has_news(self, after: int) -> bool:
        """Whether there is an event from sequence number `after` on, or none will ever come; O(1)."""
        return self.is_final or self.kept.last >= after

    def task(self, rank: int) -> TaskStatus:
        """Status of one task.

        Raises:
            UsageError: The gang has no such rank.
        """
        if not 0 <= rank < len(self._tasks):
            raise UsageError(
                f"gang '{self.handle.name}' has no rank {rank}", seen=rank, expected=f"0 to {len(self._tasks) - 1}"
            )
        return self._tasks[rank]

    def status(self) -> GangStatus:
        """Status of all tasks."""
        return GangStatus(name=self.handle.name, tasks=tuple(self._tasks))

    def started(self, rank: int, at_s: float, pid: int | None = None) -> None:
        """The task runs now."""
        status = replace(self._tasks[rank], state=TaskState.RUNNING, pid=pid, last_heartbeat_s=at_s)
        self._move(rank, status)
        self._add(TaskEventKind.STARTED, rank, at_s, {"pid": pid, "node": status.node, "cores": list(status.cores)})

    def heartbeat(self, rank: int, at_s: float) -> None:
        """The task gave a heartbeat."""
        self._tasks[rank] = replace(self._tasks[rank], last_heartbeat_s=at_s)

    def progress(self, rank: int, at_s: float, attributes: Mapping[str, Json]) -> None:
        """The task reported something; counts as a heartbeat."""
        self.heartbeat(rank, at_s)
        self._progress.append(self._add(TaskEventKind.PROGRESS, rank, at_s, attributes).sequence)
        if len(self._progress) > self._max_progress * 5 // 4:
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
        assert not self._tasks[rank].state.is_final, f"rank {rank} of '{self.handle.id}' ended twice"
        state = _STATE_AFTER.get(cause, TaskState.FAILED)
        self._num_final += 1
        self._move(
            rank,
            replace(self._tasks[rank], state=state, exit_code=exit_code, cause=cause, message=message, result=result),
        )
        self._add(
            TaskEventKind.EXITED,
            rank,
            at_s,
            {"exit_code": exit_code, "cause": cause.value, "message": message, "result": result},
        )

    def _move(self, rank: int, status: TaskStatus) -> None:
        self._engine.moved(self._tasks[rank].state, status.state, is_gang_final=self.is_final)
        self._tasks[rank] = status

    def _add(self, kind: TaskEventKind, rank: int, at_s: float, attributes: JsonObject) -> TaskEvent:
        return self._engine.happened(self, kind, rank, at_s, attributes)

    def _drop_oldest_progress(self) -> None:
        surplus = len(self._progress) - self._max_progress
        dropped, self._progress = self._progress[:surplus], self._progress[surplus:]
        self.kept.drop(dropped)
        self._engine.drop_progress(dropped)
