"""The half of an engine that is the same for all: it knows its gangs, answers for them, and lets callers wait for news.

An engine derives from `RecordedEngine` and writes what differs, which is how a gang is started; what it starts is a
`RunningGang`, which says into its record what happens, and knows how to end its tasks. `engines/base.py` lists what to write.

A base class, where this house prefers parts: capabilities are protocols that callers look for on the engine itself, so an
object around it would have to forward each of them (`docs/decisions/0024-one-record-for-engines.md`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from bedplate.core.devices import Node
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, GangHandle, GangStatus, Placement, TaskEvent
from bedplate.engines.base import CanInheritDescriptors, Engine, EngineStatistics
from bedplate.engines.checks import check_gang, refuse_descriptors
from bedplate.engines.record import EngineRecord, GangRecord

CLOSE_GRACE_S = 1.0
"""What `close` gives tasks between SIGTERM and SIGKILL."""


class News(Protocol):
    """The lock of a record, and the way to wait until it changes: a `threading.Condition`, or one in virtual time."""

    def __enter__(self) -> object:
        """Take the lock, which its holder may take again."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        """Release it."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait; the caller holds the lock."""
        ...

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until the predicate holds, or for `timeout` seconds; the caller holds the lock, and waiting releases it."""
        ...


class RunningGang(Protocol):
    """A gang that an engine has started. It enters what happens into `record`, under the engine's lock."""

    @property
    def record(self) -> GangRecord:
        """Made with `EngineRecord.new`; the engine makes it known."""
        ...

    def follow(self) -> None:
        """Begin to enter what happens: called once, when the gang is known, with the lock held. Returns immediately."""
        ...

    def cancel(self, grace_s: float) -> None:
        """Ask every task that runs to end, and see to it that it is killed after `grace_s`; returns immediately."""
        ...

    def wait_gone(self, grace_s: float) -> None:
        """Return when nothing of a cancelled gang is left.

        Raises:
            UnavailableError: Something is left well after `grace_s`.
        """
        ...

    def logs(self, rank: int) -> str:
        """Log of a rank that the gang has; also after the end."""
        ...

    def forget(self) -> None:
        """Drop what is kept outside the record; the gang has ended, and is not asked again."""
        ...


G = TypeVar("G", bound=RunningGang)


class RecordedEngine(ABC, Generic[G]):
    """An engine except for what differs: `_start`, `resources`, and the capabilities that it has.

    Args:
        news: Guards the record; None: a condition of threads.
    """

    name: str

    def __init__(self, news: News | None = None) -> None:
        self._changed: News = news or threading.Condition()
        """Guards what is known; held for moments only. Whoever holds `_placing` may take it, not the other way round."""
        self._placing = threading.RLock()
        """Held while a gang is placed and started, which may take seconds; `close` waits for it."""
        self._record = EngineRecord(on_event=self._changed.notify_all)
        self._gangs: dict[str, G] = {}
        self._is_closed = False

    @abstractmethod
    def _start(self, gang: Gang, placement: Placement | None) -> G:
        """Reserve resources for all tasks of a gang that was checked, and start them or none.

        `_placing` is held, so no two gangs are started at once. Nothing is known of the gang yet: what happens to it meanwhile
        is entered by `RunningGang.follow`.

        Raises:
            ResourcesError: It does not fit now; nothing is held.
            UsageError: It is not for this engine, or the placement is not for this gang.
            OSError: The machine refused a process, a file or a connection; nothing is left of the gang.
        """

    @abstractmethod
    def resources(self) -> tuple[Node, ...]:
        """See `Engine.resources`."""

    def _release(self) -> None:
        """Release what the engine itself holds; called once, by `close`, when all gangs have ended."""

    @implements(Engine)
    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        return self._admit(gang, lambda: self._start(gang, placement))

    def _admit(self, gang: Gang, start: Callable[[], G]) -> GangHandle:
        check_gang(gang)
        if not isinstance(self, CanInheritDescriptors):
            refuse_descriptors(gang, self.name)
        with self._placing:
            if self._is_closed:
                raise UsageError("the engine is closed", next_step="open another one")
            try:
                running = start()
            except OSError as error:
                raise _machine_refused(gang, error) from error
            handle = running.record.handle
            with self._changed:
                self._record.add(running.record)
                self._gangs[handle.id] = running
                running.follow()  # under the lock: whoever finds the gang may wait for it
        return handle

    @implements(Engine)
    def gangs(self) -> tuple[GangHandle, ...]:
        with self._changed:
            return self._record.gangs()

    @implements(Engine)
    def status(self, handle: GangHandle) -> GangStatus:
        with self._changed:
            return self._record.find(handle).status()

    @implements(Engine)
    def events(self, handle: GangHandle | None = None, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        with self._changed:
            if handle is None:
                self._changed.wait_for(lambda: self._record.num_events > after or self._is_closed, wait_s)
            else:
                record = self._record.find(handle)
                self._changed.wait_for(lambda: record.has_news(after), wait_s)
            return self._record.events(handle, after)

    @implements(Engine)
    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        with self._changed:
            record = self._record.find(handle)
            self._changed.wait_for(lambda: record.is_final, timeout_s)
            return record.status()

    @implements(Engine)
    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        self._end([self._find(handle)], grace_s)

    @implements(Engine)
    def logs(self, handle: GangHandle, rank: int) -> str:
        gang = self._find(handle)
        with self._changed:
            gang.record.task(rank)
        return gang.logs(rank)

    @implements(Engine)
    def forget(self, handle: GangHandle) -> None:
        with self._changed:
            gang = self._find(handle)
            self._record.forget(handle)
            del self._gangs[handle.id]
        gang.forget()

    @implements(Engine)
    def statistics(self) -> EngineStatistics:
        with self._changed:
            return self._record.statistics()

    def close(self) -> None:
        """See `Engine.close`; status, events and logs stay readable."""
        with self._placing:
            if self._is_closed:
                return
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()
                gangs = list(self._gangs.values())
            try:
                self._end(gangs, CLOSE_GRACE_S)
            finally:
                self._release()

    def _find(self, handle: GangHandle) -> G:
        """The gang of a handle.

        Raises:
            NotFoundError: Not a gang of this engine, or one that was forgotten.
        """
        with self._changed:
            self._record.find(handle)
            return self._gangs[handle.id]

    def _end(self, gangs: Sequence[G], grace_s: float) -> None:
        for gang in gangs:
            gang.cancel(grace_s)
        for gang in gangs:
            gang.wait_gone(grace_s)


def _machine_refused(gang: Gang, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"gang '{gang.name}' could not be started",
        seen=error,
        expected="processes, descriptors and disk for all tasks",
        next_step="see ulimit -u, ulimit -n and df",
    )
