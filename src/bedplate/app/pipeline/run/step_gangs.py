"""The gangs of the running step: what the engine reports of them becomes events of the run, and none outlives its step.

One call for the events of the whole engine serves all gangs. Copied are starts, ends and lost nodes. Progress is not: it is for
the step to interpret, and there is much of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import fields

from bedplate.core.events.event import Event, Severity
from bedplate.core.events.kinds import TaskExited, TaskNodeLost, TaskStarted, make_event
from bedplate.core.json import Json
from bedplate.core.messages import decode
from bedplate.core.workload import ExitCause, GangHandle, TaskEvent, TaskEventKind
from bedplate.engines.base import Engine
from bedplate.state.sink import StateSink

_FACTS: Mapping[TaskEventKind, type] = {
    TaskEventKind.STARTED: TaskStarted,
    TaskEventKind.EXITED: TaskExited,
    TaskEventKind.NODE_LOST: TaskNodeLost,
}
_QUIET_CAUSES = (ExitCause.FINISHED.value, ExitCause.CANCELLED.value)


class StepGangs:
    """Follows an engine while steps run on it, one step after the other. Thread-safe.

    Args:
        sink: Where the events of tasks go, under the name of the step that started them.
        on_gang: Called once with each step and gang: it says where the logs are.
    """

    def __init__(self, sink: StateSink, on_gang: Callable[[str, GangHandle], None]) -> None:
        self._sink = sink
        self._on_gang = on_gang
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._step = ""
        self._num_seen = 0
        self._noted: set[str] = set()

    def begin_step(self, engine: Engine, step: str) -> None:
        """From now on, new gangs of `engine` are those of `step`."""
        with self._lock:
            self._engine, self._step = engine, step

    def collect(self) -> None:
        """Copy what is new; called at every tick and before a step ends."""
        with self._lock:
            if self._engine is not None:
                self._collect_from(self._engine)

    def end_step(self) -> None:
        """Cancel the gangs that the step left running, copy what was reported of them, and make the engine forget them."""
        with self._lock:
            if self._engine is None:
                return
            handles = self._engine.gangs()
            for handle in handles:
                if not self._engine.status(handle).is_final:
                    self._engine.cancel(handle)
            self._collect_from(self._engine)
            for handle in handles:
                self._engine.forget(handle)

    def close(self) -> None:
        """Copy what is new, and follow nothing any more: call it before the engine is closed."""
        self.collect()
        with self._lock:
            self._engine = None

    def _collect_from(self, engine: Engine) -> None:
        for handle in engine.gangs():
            if handle.id not in self._noted:
                self._on_gang(self._step, handle)
                self._noted.add(handle.id)
        for event in engine.events(after=self._num_seen):
            self._num_seen = event.sequence + 1
            if event.kind is not TaskEventKind.PROGRESS:
                self._sink.emit(_copied(event), self._step)


def _copied(event: TaskEvent) -> Event:
    is_bad = event.kind is TaskEventKind.NODE_LOST or (
        event.kind is TaskEventKind.EXITED and event.attributes.get("cause") not in _QUIET_CAUSES
    )
    cls = _FACTS[event.kind]
    document = {name: value for name, value in event.attributes.items() if name != "result"}
    facts: dict[str, Json] = {"gang": event.gang.id, "rank": event.rank}
    facts |= {item.name: document[item.name] for item in fields(cls) if item.name in document}
    words = " ".join(f"{name}={value}" for name, value in document.items() if value not in (None, ""))
    return make_event(
        decode(cls, facts),
        at_s=event.at_s,
        message=f"{event.gang.id} rank {event.rank} {words}".strip(),
        severity=Severity.WARNING if is_bad else Severity.INFO,
        source="engine",
    )
