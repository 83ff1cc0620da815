"""One gang in virtual time: each end, report and deadline of its tasks is one callback on the clock's heap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from signal import SIGKILL, SIGSTOP, SIGTERM
from typing import Any

from bedplate.core.clock import VirtualClock
from bedplate.core.implements import implements
from bedplate.core.workload import ExitCause
from bedplate.engines.record import GangRecord
from bedplate.engines.recorded import RunningGang
from bedplate.engines.simulated.behaviour import SimulatedBehaviour
from bedplate.engines.simulated.news import VirtualNews


class SimulatedGang:
    """What the tasks of a gang are going to do; implements `RunningGang`.

    Args:
        record: Where its states and events are entered.
        behaviours: What each task does.
        heartbeat_timeout_s: Silence after which a task counts as hung.
        clock: Virtual time.
        on_task_end: Called with the rank of each task that has ended.
    """

    def __init__(
        self,
        record: GangRecord,
        behaviours: Sequence[SimulatedBehaviour],
        *,
        heartbeat_timeout_s: float | None,
        clock: VirtualClock,
        on_task_end: Callable[[int], None],
    ) -> None:
        self.record = record
        self._behaviours = behaviours
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._clock = clock
        self._on_task_end = on_task_end
        self._tickets: list[list[int]] = [[] for _ in behaviours]
        """Callbacks of each rank that are still to come."""

    @implements(RunningGang)
    def follow(self) -> None:
        for rank in range(len(self._behaviours)):
            self._begin(rank)

    def cancel(self, grace_s: float) -> None:
        """See `RunningGang.cancel`; only a task that ignores SIGTERM takes any time to end."""
        for rank, behaviour in enumerate(self._behaviours):
            if behaviour.ignores_sigterm and not self._has_ended(rank):
                self._file(rank, grace_s, partial(self._cancelled, rank, SIGKILL))
            else:
                self._cancelled(rank, SIGTERM)

    @implements(RunningGang)
    def wait_gone(self, grace_s: float) -> None:
        VirtualNews(self._clock).wait_for(lambda: self.record.is_final, grace_s)

    @implements(RunningGang)
    def logs(self, rank: int) -> str:
        return self._behaviours[rank].log

    def forget(self) -> None:
        """Nothing is kept elsewhere."""

    def kill(self, rank: int, signal: int) -> None:
        """SIGSTOP makes the task silent and endless; any other signal ends it."""
        if self._has_ended(rank):
            return
        if signal != SIGSTOP:
            self.end(rank, exit_code=-signal, cause=ExitCause.SIGNAL, message=f"ended by signal {signal}")
            return
        self._drop_tickets(rank)
        if self._heartbeat_timeout_s is not None:
            self._file(rank, self._heartbeat_timeout_s, partial(self._hang, rank))

    def lose(self, rank: int, node: str) -> None:
        """The node under the task goes away."""
        self.record.node_lost(rank, self._clock.now())
        self.end(rank, exit_code=None, cause=ExitCause.NODE_LOST, message=f"node {node} went away")

    def end(
        self, rank: int, *, exit_code: int | None, cause: ExitCause, message: str, result: Mapping[str, Any] | None = None
    ) -> None:
        """End a task; does nothing if it has ended."""
        if self._has_ended(rank):
            return
        self._drop_tickets(rank)
        self.record.exited(rank, self._clock.now(), exit_code=exit_code, cause=cause, message=message, result=result)
        self._on_task_end(rank)

    def _begin(self, rank: int) -> None:
        behaviour = self._behaviours[rank]
        self.record.started(rank, self._clock.now())
        for report in behaviour.progress:
            if behaviour.silent_after_s is None or report.at_s <= behaviour.silent_after_s:
                self._file(rank, report.at_s, partial(self._report, rank, report.attributes))
        if behaviour.silent_after_s is not None and self._heartbeat_timeout_s is not None:
            self._file(rank, behaviour.silent_after_s + self._heartbeat_timeout_s, partial(self._hang, rank))
        if behaviour.at_s is not None:
            self._file(rank, behaviour.at_s, partial(self._finish, rank))

    def _report(self, rank: int, attributes: Mapping[str, Any]) -> None:
        self.record.progress(rank, self._clock.now(), attributes)

    def _finish(self, rank: int) -> None:
        behaviour = self._behaviours[rank]
        code = behaviour.exit_code
        cause = ExitCause.FINISHED if code == 0 else ExitCause.ERROR if code > 0 else ExitCause.SIGNAL
        result = behaviour.result if code == 0 else None
        self.end(rank, exit_code=code, cause=cause, message=behaviour.message, result=result)

    def _hang(self, rank: int) -> None:
        message = f"silent for {self._heartbeat_timeout_s} s"
        self.end(rank, exit_code=-SIGKILL, cause=ExitCause.HUNG, message=message)

    def _cancelled(self, rank: int, signal: int) -> None:
        self.end(rank, exit_code=-signal, cause=ExitCause.CANCELLED, message="cancelled")

    def _has_ended(self, rank: int) -> bool:
        return self.record.task(rank).state.is_final

    def _file(self, rank: int, after_s: float, callback: Callable[[], None]) -> None:
        self._tickets[rank].append(self._clock.call_at(self._clock.now() + after_s, callback))

    def _drop_tickets(self, rank: int) -> None:
        for ticket in self._tickets[rank]:
            self._clock.cancel(ticket)
        self._tickets[rank].clear()
