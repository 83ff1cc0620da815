"""Gangs in virtual time: nothing runs, everything happens.

The same contract as the other engines over `core.clock.VirtualClock`, so a scheduler, a trainer's supervisor or a recovery
can be driven through days of failures in milliseconds. `wait` and `events(wait_s)` move the clock; between calls time stands
still. Each end, report and deadline is one callback on the clock's heap: O(log n). One thread only, as the clock is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from bedplate.core.clock import VirtualClock
from bedplate.core.devices import Exclusion, Node
from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.implements import implements
from bedplate.core.workload import Gang, GangHandle, Placement
from bedplate.engines.base import CanExclude
from bedplate.engines.ledger import NodeLedger, exclusions_of, reserve
from bedplate.engines.recorded import RecordedEngine
from bedplate.engines.simulated.behaviour import SimulatedBehaviour, read_behaviour
from bedplate.engines.simulated.gang import SimulatedGang
from bedplate.engines.simulated.news import VirtualNews


@dataclass(slots=True, kw_only=True)
class _Machine:
    ledger: NodeLedger
    running: set[tuple[str, int]] = field(default_factory=set)
    """Gang id and rank of what runs there."""


class SimulatedEngine(RecordedEngine[SimulatedGang]):
    """The engine of a simulated cluster. Implements FaultInjection, CanExclude and CanLoseNodes.

    Args:
        clock: Virtual time; may be shared with other simulators.
        nodes: The machines of the cluster.
        needs_end: Refuse a task that would run until it is ended, for callers that only wait.
    """

    name = "simulated"

    def __init__(self, clock: VirtualClock, nodes: Sequence[Node], *, needs_end: bool = False) -> None:
        super().__init__(VirtualNews(clock))
        self._clock = clock
        self._needs_end = needs_end
        self._machines = {node.id: _Machine(ledger=NodeLedger(node)) for node in nodes}
        self._numbers = itertools.count(1)

    def resources(self) -> tuple[Node, ...]:
        """Nodes that are left."""
        return tuple(machine.ledger.node for machine in self._machines.values())

    def kill(self, handle: GangHandle, rank: int, signal: int) -> None:
        """See `FaultInjection.kill`. SIGSTOP makes the task silent and endless; any other signal ends it."""
        self._find(handle).kill(rank, signal)

    @implements(CanExclude)
    def exclude(self, node_id: str, cores: tuple[int, ...], reason: str) -> None:
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
            self._gangs[gang_id].lose(rank, node_id)

    def _start(self, gang: Gang, placement: Placement | None) -> SimulatedGang:
        """Takes no virtual time."""
        behaviours = self._behaviours(gang)
        placed = reserve(gang, placement, [machine.ledger for machine in self._machines.values()])
        handle = GangHandle(id=f"{gang.name}-{next(self._numbers)}", name=gang.name, num_tasks=len(gang.tasks))
        for rank, place in enumerate(placed.tasks):
            self._machines[place.node].running.add((handle.id, rank))
        return SimulatedGang(
            self._record.new(handle, placed),
            behaviours,
            heartbeat_timeout_s=gang.heartbeat_timeout_s,
            clock=self._clock,
            on_task_end=lambda rank: self._free(gang, handle, placed, rank),
        )

    def _behaviours(self, gang: Gang) -> Sequence[SimulatedBehaviour]:
        behaviours = [read_behaviour(task) for task in gang.tasks]
        if self._needs_end and any(behaviour.at_s is None for behaviour in behaviours):
            raise UsageError(
                f"gang '{gang.name}' would never end: nothing is executed here",
                expected="a duration_s, or a 'simulated' key in the spec, for every task",
                next_step="run it with --engine local",
            )
        return behaviours

    def _free(self, gang: Gang, handle: GangHandle, placed: Placement, rank: int) -> None:
        place = placed.tasks[rank]
        if (machine := self._machines.get(place.node)) is not None:
            machine.ledger.release(place, gang.tasks[rank].resources)
            machine.running.discard((handle.id, rank))

    def _machine(self, node_id: str) -> _Machine:
        try:
            return self._machines[node_id]
        except KeyError:
            raise NotFoundError(f"no node '{node_id}'", expected=", ".join(self._machines) or "none is left") from None
