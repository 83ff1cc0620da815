"""Gangs in virtual time: nothing runs, everything happens.

The same contract as the other engines over `core.clock.VirtualClock`, so a scheduler, a trainer's supervisor or a recovery
can be driven through days of failures in milliseconds. `wait` and `events(wait_s)` move the clock; between calls time stands
still. Each end, report and deadline is one callback on the clock's heap: O(log n). One thread only, as the clock is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from signal import SIGKILL, SIGSTOP
from typing import Any

from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Node
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Gang, GangStatus, TaskEvent, TaskState, TaskStatus
from bedplate.engines.base import EngineStatistics, GangHandle
from bedplate.engines.record import GangRecord, check_gang, statistics_of
from bedplate.engines.simulated.behaviour import SimulatedBehaviour, read_behaviour
from bedplate.engines.slots import Reservation, Slots, reserve_gang

_FOREVER_S = float("inf")


@dataclass(slots=True, kw_only=True)
class _Machine:
    node: Node
    slots: Slots
    running: set[tuple[str, int]] = field(default_factory=set)
    """Gang id and rank of what runs there."""


@dataclass(slots=True, kw_only=True)
class _SimulatedGang:
    record: GangRecord
    behaviours: Sequence[SimulatedBehaviour]
    heartbeat_timeout_s: float | None
    places: Sequence[tuple[str, Reservation]]
    """Node id and reservation of each rank."""
    tickets: list[list[int]]
    """Callbacks of each rank that are still to come."""


class SimulatedEngine:
    """The engine of a simulated cluster. Implements FaultInjection, CanExclude and CanLoseNodes.

    Args:
        clock: Virtual time; may be shared with other simulators.
        nodes: The machines of the cluster.
    """

    name = "simulated"

    def __init__(self, clock: VirtualClock, nodes: Sequence[Node]) -> None:
        self._clock = clock
        self._machines = {node.id: _Machine(node=node, slots=_slots_of(node)) for node in nodes}
        self._gangs: dict[str, _SimulatedGang] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    def submit(self, gang: Gang) -> GangHandle:
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
        machines = [machine for machine in self._machines.values() if gang.node_labels.items() <= machine.node.labels.items()]
        reserved = reserve_gang(gang, [machine.slots for machine in machines])
        places = [(machines[index].node.id, reservation) for index, reservation in reserved]
        handle = GangHandle(id=f"{gang.name}-{next(self._numbers)}", name=gang.name, num_tasks=len(gang.tasks))
        self._gangs[handle.id] = _SimulatedGang(
            record=GangRecord(gang.name, tuple(_waiting(rank, *place) for rank, place in enumerate(places))),
            behaviours=behaviours,
            heartbeat_timeout_s=gang.heartbeat_timeout_s,
            places=places,
            tickets=[[] for _ in gang.tasks],
        )
        for rank in range(handle.num_tasks):
            self._start(handle.id, rank)
        return handle

    def status(self, handle: GangHandle) -> GangStatus:
        """See `Engine.status`."""
        return self._find(handle).record.status()

    def events(self, handle: GangHandle, after: int = 0, wait_s: float = 0.0) -> tuple[TaskEvent, ...]:
        """See `Engine.events`; moves the clock to the next event of the gang, at most `wait_s`."""
        record = self._find(handle).record
        self._advance_until(lambda: record.num_events > after or record.is_final, wait_s)
        return record.events(after)

    def wait(self, handle: GangHandle, timeout_s: float | None = None) -> GangStatus:
        """See `Engine.wait`; moves the clock.

        Raises:
            UnavailableError: No timeout was given, and nothing is due that could end the gang.
        """
        record = self._find(handle).record
        self._advance_until(lambda: record.is_final, _FOREVER_S if timeout_s is None else timeout_s)
        if timeout_s is None and not record.is_final:
            raise UnavailableError(
                f"gang '{record.name}' will never end: nothing is due any more",
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

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are left; label `excluded` tells which cores are left out, and why."""
        return tuple(machine.node for machine in self._machines.values())

    def statistics(self) -> EngineStatistics:
        """See `Engine.statistics`."""
        return statistics_of([gang.record for gang in self._gangs.values()])

    def close(self) -> None:
        """Cancel what runs; status, events and logs stay readable."""
        self._is_closed = True
        for gang_id, gang in self._gangs.items():
            for rank in range(len(gang.places)):
                self._end(gang_id, rank, exit_code=-15, cause=ExitCause.CANCELLED, message="cancelled")

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`. SIGSTOP makes the task silent and endless; any other signal ends it."""
        gang = self._find(handle)
        if gang.record.task(rank).state.is_final:
            return
        if signal == SIGSTOP:
            self._forget(gang, rank)
            if gang.heartbeat_timeout_s is not None:
                self._file(handle.id, rank, gang.heartbeat_timeout_s, partial(self._hang, handle.id, rank))
            return
        self._end(handle.id, rank, exit_code=-signal, cause=ExitCause.SIGNAL, message=f"ended by signal {signal}")

    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
        """See `CanExclude.exclude`.

        Raises:
            NotFoundError: No such node, or not cores of it that are still in.
        """
        machine = self._machine(node_id)
        machine.slots.exclude(cores)
        told = [machine.node.labels.get("excluded", ""), *(f"core {core}: {reason}" for core in cores)]
        machine.node = replace(machine.node, labels={**machine.node.labels, "excluded": "; ".join(filter(None, told))})

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
        self._machines[gang.places[rank][0]].running.add((gang_id, rank))
        for report in behaviour.progress:
            if behaviour.silent_after_s is None or report.at_s <= behaviour.silent_after_s:
                self._file(gang_id, rank, report.at_s, partial(self._report, gang_id, rank, report.attributes))
        if behaviour.silent_after_s is not None and gang.heartbeat_timeout_s is not None:
            deadline_s = behaviour.silent_after_s + gang.heartbeat_timeout_s
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
        timeout_s = self._gangs[gang_id].heartbeat_timeout_s
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
        """End a task and give back what it holds; nothing happens to one that has ended."""
        gang = self._gangs[gang_id]
        if gang.record.task(rank).state.is_final:
            return
        self._forget(gang, rank)
        gang.record.exited(
            rank,
            self._clock.now(),
            exit_code=exit_code,
            cause=cause,
            message=message,
            result=gang.behaviours[rank].result if with_result else None,
        )
        node_id, reservation = gang.places[rank]
        if (machine := self._machines.get(node_id)) is not None:
            machine.slots.release(reservation)
            machine.running.discard((gang_id, rank))

    def _forget(self, gang: _SimulatedGang, rank: int) -> None:
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
        try:
            return self._gangs[handle.id]
        except KeyError:
            raise NotFoundError(f"no gang '{handle.id}' in this engine") from None

    def _machine(self, node_id: str) -> _Machine:
        try:
            return self._machines[node_id]
        except KeyError:
            raise NotFoundError(f"no node '{node_id}'", expected=", ".join(self._machines) or "none is left") from None


def _slots_of(node: Node) -> Slots:
    cpus = [device for device in node.devices if device.kind == "cpu"]
    numa_of = {core: index for index, device in enumerate(cpus) for core in device.cores}
    cores = [core for device in cpus for core in device.cores]
    accelerators = [device for device in node.devices if device.kind != "cpu"]
    return Slots(cores, numa_of, node.memory_bytes, accelerators)


def _waiting(rank: int, node_id: str, reservation: Reservation) -> TaskStatus:
    devices = tuple(device.id for device in reservation.devices)
    return TaskStatus(rank=rank, state=TaskState.WAITING, node=node_id, cores=reservation.cores, devices=devices)
