"""Gangs in virtual time: nothing runs, everything happens.

The same contract as the other engines over `core.clock.VirtualClock`, so a scheduler, a trainer's supervisor or a recovery
can be driven through days of failures in milliseconds. `wait` and `events(wait_s)` move the clock; between calls time stands
still. Each end, report and deadline is one callback on the clock's heap: O(log n). One thread only, as the clock is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from signal import SIGKILL, SIGSTOP
from typing import Any

from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import ExitCause, Gang, GangHandle, GangStatus, Placement, TaskEvent
from bedplate.engines.base import Engine, EngineStatistics
from bedplate.engines.checks import check_gang
from bedplate.engines.ledger import NodeLedger, exclusions_of, reserve
from bedplate.engines.record import EngineRecord, GangRecord
from bedplate.engines.simulated.behaviour import SimulatedBehaviour, read_behaviour

_FOREVER_S = float("inf")


@dataclass(slots=True, kw_only=True)
class _Machine:
    ledger: NodeLedger
    running: set[tuple[str, int]] = field(default_factory=set)
    """Gang id and rank of what runs there."""


@dataclass(slots=True, kw_only=True)
class _SimulatedGang:
    submitted: Gang
    placement: Placement
    record: GangRecord
    behaviours: Sequence[SimulatedBehaviour]
    tickets: list[list[int]]
    """Callbacks of each rank that are still to come."""


class SimulatedEngine:
    """The engine of a simulated cluster. Implements FaultInjection, CanExclude and CanLoseNodes.

    Args:
        clock: Virtual time; may be shared with other simulators.
        nodes: The machines of the cluster.
        needs_end: Refuse a task that would run until it is ended, for callers that only wait.
    """

    name = "simulated"

    def __init__(self, clock: VirtualClock, nodes: Sequence[Node], *, needs_end: bool = False) -> None:
        self._clock = clock
        self._needs_end = needs_end
        self._machines = {node.id: _Machine(ledger=NodeLedger(node)) for node in nodes}
        self._record = EngineRecord()
        self._gangs: dict[str, _SimulatedGang] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    def submit(self, gang: Gang, placement: Placement | None = None) -> GangHandle:
        """See `Engine.submit`; takes no virtual time.

        Raises:
            ResourcesError: More is asked than there is, or than is free now.
            UsageError: The gang cannot be run, wants descriptors, or the engine is closed.
        """
        check_gang(gang)
        if self._is_closed:
            raise UsageError("the engine is closed", next_step="open another one")
        if any(task.inherited for task in gang.tasks):
            raise UsageError("simulated tasks cannot inherit descriptors", next_step="use the local engine")
        behaviours = [read_behaviour(task) for task in gang.tasks]
        if self._needs_end and any(behaviour.at_s is None for behaviour in behaviours):
            raise UsageError(
                f"gang '{gang.name}' would never end: nothing is executed here",
                expected="a duration_s, or a 'simulated' key in the spec, for every task",
                next_step="run it with --engine local",
            )
        placement = reserve(gang, placement, [machine.ledger for machine in self._machines.values()])
        handle = GangHandle(id=f"{gang.name}-{next(self._numbers)}", name=gang.name, num_tasks=len(gang.tasks))
        self._gangs[handle.id] = _SimulatedGang(
            submitted=gang,
            placement=placement,
            record=self._record.open(handle, placement),
            behaviours=behaviours,
            tickets=[[] for _ in gang.tasks],
        )
        for rank in range(handle.num_tasks):
            self._start(handle.id, rank)
        return handle

    @implements(Engine)
    def gangs(self) -> tuple[GangHandle, ...]:
        return self._record.gangs()

    @implements(Engine)
    def status(self, handle: GangHandle) -> GangStatus:
        return self._record.find(handle).status()

    def events(self, handle: GangHandle | None = None, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """See `Engine.events`; moves the clock to the next event, at most by `wait_s`."""
        if handle is None:
            self._advance_until(lambda: self._record.num_events > after or self._is_closed, wait_s)
        else:
            record = self._record.find(handle)
            self._advance_until(lambda: record.has_news(after), wait_s)
        return self._record.events(handle, after)

    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        """See `Engine.wait`; moves the clock.

        Raises:
            UnavailableError: No timeout was given, and nothing is due that could end the gang.
        """
        record = self._find(handle).record
        self._advance_until(lambda: record.is_final, _FOREVER_S if timeout_s is None else timeout_s)
        if timeout_s is None and not record.is_final:
            raise UnavailableError(
                f"gang '{record.handle.id}' will never end: no event is scheduled",
                next_step="give its tasks a duration_s, or wait with a timeout",
            )
        return record.status()

    def cancel(self, handle: GangHandle, grace_s: float = 5.0) -> None:
        """See `Engine.cancel`; takes virtual time only where a task ignores SIGTERM."""
        gang = self._find(handle)
        waits_for_kill = False
        for rank, behaviour in enumerate(gang.behaviours):
            if behaviour.ignores_sigterm and not gang.record.task(rank).state.is_final:
                waits_for_kill = True
            else:
                self._end(handle.id, rank, exit_code=-15, cause=ExitCause.CANCELLED, message="cancelled")
        if waits_for_kill:
            self._clock.advance(grace_s)
        for rank in range(handle.num_tasks):
            self._end(handle.id, rank, exit_code=-9, cause=ExitCause.CANCELLED, message="cancelled")

    def logs(self, handle: GangHandle, rank: int) -> str:
        """What the task's behaviour says that it wrote."""
        gang = self._find(handle)
        gang.record.task(rank)
        return gang.behaviours[rank].log

    @implements(Engine)
    def forget(self, handle: GangHandle) -> None:
        self._record.forget(handle)
        del self._gangs[handle.id]

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are left."""
        return tuple(machine.ledger.node for machine in self._machines.values())

    @implements(Engine)
    def statistics(self) -> EngineStatistics:
        return self._record.statistics()

    def close(self) -> None:
        """Cancel what runs; status, events and logs stay readable."""
        self._is_closed = True
        for gang_id, gang in self._gangs.items():
            for rank in range(len(gang.submitted.tasks)):
                self._end(gang_id, rank, exit_code=-15, cause=ExitCause.CANCELLED, message="cancelled")

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`. SIGSTOP makes the task silent and endless; any other signal ends it."""
        gang = self._find(handle)
        if gang.record.task(rank).state.is_final:
            return
        if signal == SIGSTOP:
            self._drop_tickets(gang, rank)
            if gang.submitted.heartbeat_timeout_s is not None:
                self._file(handle.id, rank, gang.submitted.heartbeat_timeout_s, partial(self._hang, handle.id, rank))
            return
        self._end(handle.id, rank, exit_code=-signal, cause=ExitCause.SIGNAL, message=f"ended by signal {signal}")

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`.

        Raises:
            NotFoundError: No such node, or not cores of it that are still in.
        """
        self._machine(node_id).ledger.exclude(tuple(cores), reason)

    def exclusions(self) -> tuple[Exclusion, ...]:
        """See `CanExclude.exclusions`; of nodes that are left."""
        return exclusions_of([machine.ledger for machine in self._machines.values()])

    def remove_node(self, node_id: str) -> None:
        """See `CanLoseNodes.remove_node`.

        Raises:
            NotFoundError: No such node.
        """
        machine = self._machine(node_id)
        del self._machines[node_id]
        for gang_id, rank in sorted(machine.running):
            self._gangs[gang_id].record.node_lost(rank, self._clock.now())
            self._end(gang_id, rank, exit_code=None, cause=ExitCause.NODE_LOST, message=f"node {node_id} went away")

    def _start(self, gang_id: str, rank: int) -> None:
        gang = self._gangs[gang_id]
        behaviour = gang.behaviours[rank]
        gang.record.started(rank, self._clock.now())
        self._machines[gang.placement.tasks[rank].node].running.add((gang_id, rank))
        for report in behaviour.progress:
            if behaviour.silent_after_s is None or report.at_s <= behaviour.silent_after_s:
                self._file(gang_id, rank, report.at_s, partial(self._report, gang_id, rank, report.attributes))
        if behaviour.silent_after_s is not None and gang.submitted.heartbeat_timeout_s is not None:
            deadline_s = behaviour.silent_after_s + gang.submitted.heartbeat_timeout_s
            self._file(gang_id, rank, deadline_s, partial(self._hang, gang_id, rank))
        if behaviour.at_s is not None:
            self._file(gang_id, rank, behaviour.at_s, partial(self._finish, gang_id, rank))

    def _file(self, gang_id: str, rank: int, after_s: float, callback: Callable[[], None]) -> None:
        self._gangs[gang_id].tickets[rank].append(self._clock.call_at(self._clock.now() + after_s, callback))

    def _report(self, gang_id: str, rank: int, attributes: Mapping[str, Any]) -> None:
        self._gangs[gang_id].record.progress(rank, self._clock.now(), attributes)

    def _finish(self, gang_id: str, rank: int) -> None:
        behaviour = self._gangs[gang_id].behaviours[rank]
        code = behaviour.exit_code
        cause = ExitCause.FINISHED if code == 0 else ExitCause.ERROR if code > 0 else ExitCause.SIGNAL
        self._end(gang_id, rank, exit_code=code, cause=cause, message=behaviour.message, with_result=code == 0)

    def _hang(self, gang_id: str, rank: int) -> None:
        timeout_s = self._gangs[gang_id].submitted.heartbeat_timeout_s
        self._end(gang_id, rank, exit_code=-SIGKILL, cause=ExitCause.HUNG, message=f"silent for {timeout_s} s")

    def _end(
        self,
        gang_id: str,
        rank: int,
        *,
        exit_code: int | None,
        cause: ExitCause,
        message: str,
        with_result: bool = False,
    ) -> None:
        """End a task and release what it holds; does nothing if it has ended."""
        gang = self._gangs[gang_id]
        if gang.record.task(rank).state.is_final:
            return
        self._drop_tickets(gang, rank)
        gang.record.exited(
            rank,
            self._clock.now(),
            exit_code=exit_code,
            cause=cause,
            message=message,
            result=gang.behaviours[rank].result if with_result else None,
        )
        place = gang.placement.tasks[rank]
        if (machine := self._machines.get(place.node)) is not None:
            machine.ledger.release(place, gang.submitted.tasks[rank].resources)
            machine.running.discard((gang_id, rank))

    def _drop_tickets(self, gang: _SimulatedGang, rank: int) -> None:
        for ticket in gang.tickets[rank]:
            self._clock.cancel(ticket)
        gang.tickets[rank].clear()

    def _advance_until(self, is_met: Callable[[], bool], wait_s: float) -> None:
        end_s = self._clock.now() + wait_s
        while not is_met():
            at_s = self._clock.next_at()
            if at_s is None or at_s > end_s:
                if end_s < _FOREVER_S:
                    self._clock.advance(end_s - self._clock.now())
                return
            self._clock.step()

    def _find(self, handle: GangHandle) -> _SimulatedGang:
        self._record.find(handle)
        return self._gangs[handle.id]

    def _machine(self, node_id: str) -> _Machine:
        try:
            return self._machines[node_id]
        except KeyError:
            raise NotFoundError(f"no node '{node_id}'", expected=", ".join(self._machines) or "none is left") from None
