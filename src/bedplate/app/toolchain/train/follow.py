"""Follows a training gang to its end, or to a failure, and names the rank that failed.

Which rank failed is not always the one that is seen to end first. When a worker dies, its peers break out of their
collective within milliseconds and end as well. When a worker hangs, its peers wait for it in silence, and the engine may
find one of them silent first. So a rank that only lost a peer is passed over while another one may still report, and
for a hang the rank to name is one that did not wait: silent for the longest, and not in a collective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError, PeerLostError, ResourcesError, UnavailableError
from bedplate.core.reporter import Reporter
from bedplate.core.workload import ExitCause, TaskEvent, TaskEventKind, TaskStatus
from bedplate.engines.base import Engine, GangHandle
from bedplate.toolchain.train.messages import Built, Report, WaitBegan, read_report

PATIENCE_S = 5.0
"""How long to wait for the rank that failed first, when all that ended say that they only lost a peer: on a busy machine the
end of a killed process can be seen seconds after its peers have noticed."""
_WAIT_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A rank that ended before its time."""

    rank: int
    at_s: float
    cause: str
    """The engine's cause: `signal`, `hung`, `error`, …"""
    message: str
    only_lost_a_peer: bool = False


class GangFollower:
    """One attempt, followed once."""

    def __init__(
        self,
        engine: Engine,
        handle: GangHandle,
        reporter: Reporter,
        clock: Clock,
        on_report: Callable[[GangHandle, TaskEvent, Report], None],
    ) -> None:
        """Follow `handle`; `on_report` is called with each report of a worker."""
        self._engine, self._handle, self._reporter, self._clock = engine, handle, reporter, clock
        self._on_report = on_report
        self._running = handle.num_tasks
        self._exits: list[Exit] = []
        self._first_exit_s = 0.0
        self._waiting: set[int] = set()
        """Ranks that have done their part and wait for the others in a collective."""

    def follow(self) -> Exit | None:
        """The failure, or None when all ranks have finished.

        Raises:
            BedplateError: What a worker found wrong with its input.
            CancelledError: Cancellation was requested.
        """
        seen = 0
        while self._running:
            self._reporter.check_cancelled()
            for event in self._engine.events(self._handle, after=seen, wait_s=_WAIT_S):
                seen = event.sequence + 1
                if event.kind is TaskEventKind.PROGRESS:
                    self._on_progress(event)
                elif event.kind is TaskEventKind.EXITED:
                    self._on_exit(event)
            if self._exits and self._is_decided():
                return self._failed_rank()
        return None

    def _on_progress(self, event: TaskEvent) -> None:
        report = read_report(event.attributes)
        if isinstance(report, WaitBegan | Built):
            self._waiting.add(event.rank)
        else:
            self._waiting.discard(event.rank)
        self._on_report(self._handle, event, report)

    def _on_exit(self, event: TaskEvent) -> None:
        self._running -= 1
        error = _reported(self._status(event.rank))
        if error is None and event.attributes.get("cause") == ExitCause.FINISHED:
            return
        if error is not None and not _may_pass(error):
            raise error
        if not self._exits:
            self._first_exit_s = self._clock.now()
        cause = ExitCause.ERROR if error is not None else str(event.attributes.get("cause", ""))
        message = str(event.attributes.get("message", "")) if error is None else str(error)
        lost = isinstance(error, PeerLostError)
        self._exits.append(Exit(rank=event.rank, at_s=event.at_s, cause=cause, message=message, only_lost_a_peer=lost))

    def _is_decided(self) -> bool:
        """Whether nothing that may still arrive would change which rank failed."""
        has_cause = any(not item.only_lost_a_peer for item in self._exits)
        return has_cause or not self._running or self._clock.now() - self._first_exit_s > PATIENCE_S

    def _failed_rank(self) -> Exit:
        first = next((item for item in self._exits if not item.only_lost_a_peer), self._exits[0])
        if first.cause != ExitCause.HUNG or first.rank not in self._waiting:
            return first
        silent = [
            task
            for task in self._engine.status(self._handle).tasks
            if task.rank not in self._waiting and not task.state.is_final
        ]
        if not silent:
            return first
        hung = min(silent, key=lambda task: task.last_heartbeat_s or 0.0)
        return replace(first, rank=hung.rank, message=f"silent while rank {first.rank} waited for it")

    def _status(self, rank: int) -> TaskStatus:
        return next(task for task in self._engine.status(self._handle).tasks if task.rank == rank)


def _reported(task: TaskStatus) -> BedplateError | None:
    """The error that a worker handed back as its result."""
    document = (task.result or {}).get("error")
    return BedplateError.from_json(document) if isinstance(document, dict) else None


def _may_pass(error: BedplateError) -> bool:
    """Whether another attempt may succeed: a lost peer, a port or a rendezvous, but not a full disk."""
    return isinstance(error, PeerLostError) or (isinstance(error, UnavailableError) and not isinstance(error, ResourcesError))
