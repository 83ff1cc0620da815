"""The gangs of the running step: what the engine tells of them becomes events of the run, and none outlives its step.

Copied are starts, ends and lost nodes. Progress is not: it is the step's to interpret, and there is much of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.event_kinds import TaskExited, TaskNodeLost, TaskStarted, make_event
from bedplate.core.events import Event, Severity
from bedplate.core.messages import decode
from bedplate.core.workload import ExitCause, TaskEvent, TaskEventKind
from bedplate.engines.base import Engine, GangHandle
from bedplate.state.sink import StateSink

_FACTS: Mapping[TaskEventKind, type] = {
    TaskEventKind.STARTED: TaskStarted,
    TaskEventKind.EXITED: TaskExited,
    TaskEventKind.NODE_LOST: TaskNodeLost,
}
_QUIET_CAUSES = (ExitCause.FINISHED.value, ExitCause.CANCELLED.value)


@dataclass(slots=True)
class _Watched:
    engine: Engine
    handle: GangHandle
    step: str
    num_seen: int = 0
    num_ended: int = 0


class StepGangs:
    """Follows the gangs it was told of until all their tasks have ended. Thread-safe."""

    def __init__(self, sink: StateSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._watched: list[_Watched] = []

    def watch(self, engine: Engine, handle: GangHandle, step: str) -> None:
        """Follow one more gang."""
        with self._lock:
            self._watched.append(_Watched(engine, handle, step))

    def collect(self) -> None:
        """Copy what is new; the pulse calls this."""
        with self._lock:
            for gang in self._watched:
                self._collect_from(gang)
            self._watched = [gang for gang in self._watched if gang.num_ended < gang.handle.num_tasks]

    def end_what_is_left(self) -> None:
        """Cancel the gangs that a finished step left running, and copy what was told of them."""
        with self._lock:
            watched = list(self._watched)
        for gang in watched:
            if not gang.engine.status(gang.handle).is_final:
                gang.engine.cancel(gang.handle)
        self.collect()

    def close(self) -> None:
        """Copy what is new, and follow nothing any more: call it before the engine is closed."""
        self.collect()
        with self._lock:
            self._watched.clear()

    def _collect_from(self, gang: _Watched) -> None:
        for event in gang.engine.events(gang.handle, after=gang.num_seen):
            gang.num_seen = event.sequence + 1
            gang.num_ended += event.kind is TaskEventKind.EXITED
            if event.kind is not TaskEventKind.PROGRESS:
                self._sink.emit(_copied(event, gang.handle.id), gang.step)


def _copied(event: TaskEvent, gang: str) -> Event:
    is_bad = event.kind is TaskEventKind.NODE_LOST or (
        event.kind is TaskEventKind.EXITED and event.attributes.get("cause") not in _QUIET_CAUSES
    )
    document = {name: value for name, value in event.attributes.items() if name != "result"}
    words = " ".join(f"{name}={value}" for name, value in document.items() if value not in (None, ""))
    return make_event(
        decode(_FACTS[event.kind], {"gang": gang, "rank": event.rank, **document}),
        at_s=event.at_s,
        message=f"{gang} rank {event.rank} {words}".strip(),
        severity=Severity.WARNING if is_bad else Severity.INFO,
        source="engine",
    )
