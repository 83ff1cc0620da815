"""Which cores each job has: the scheduler counts them, this hands out their numbers.

A node may list a core more than once (an over-subscribed test machine); it may be handed out as often. Cores are handed out in
ascending order of how often they are taken, then by number, so that jobs share a core only where all are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bedplate.app.control.requests import Placed, workers_by_node
from bedplate.compute.scheduler.job import WHOLE, Allocation, Request
from bedplate.core.allocation import NodeAllocation
from bedplate.core.devices import Device, Node
from bedplate.core.errors import ResourcesError


class CoreBook:
    """The cores of all nodes. Has one owner."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._taken: dict[str, Counter[int]] = {}
        self._free: dict[str, list[int]] = {}
        """Free cores of a node in the order in which they are given; made when it is wanted."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Nodes that are there."""
        return tuple(self._nodes.values())

    def node(self, node_id: str) -> Node | None:
        """A node that is there."""
        return self._nodes.get(node_id)

    def add(self, node: Node) -> None:
        """A node is there; what jobs hold of it is kept while it is away."""
        self._nodes[node.id] = node
        self._free.pop(node.id, None)
        self._taken.setdefault(node.id, Counter())
        self._free_cores(node)  # now, since a pass that starts thousands of jobs has no time for it

    def remove(self, node_id: str) -> None:
        """A node has gone."""
        self._nodes.pop(node_id, None)

    def give(self, request: Request, allocation: Allocation) -> Placed:
        """Cores and accelerators for the workers of a job, booked.

        Raises:
            ResourcesError: A node has fewer free cores than the scheduler counted, or is not there; nothing is booked then.
        """
        parts: list[NodeAllocation] = []
        try:
            for node_id, places in workers_by_node(allocation.places).items():
                num_cores = len(places) * -(-request.cpu_milli // WHOLE)
                positions = sorted({position for place in places for position in place.devices})
                parts.append(self._give_node(node_id, num_cores, positions))
        except ResourcesError:
            self.take_back(parts)
            raise
        return Placed(allocation=allocation, nodes=tuple(parts))

    def hold(self, parts: Iterable[NodeAllocation]) -> None:
        """Book what a job has already."""
        for part in parts:
            self._taken.setdefault(part.node, Counter()).update(part.cores)
            self._free.pop(part.node, None)

    def take_back(self, parts: Iterable[NodeAllocation]) -> None:
        """A job does not hold this any more."""
        for part in parts:
            self._taken[part.node].subtract(part.cores)
            self._free.pop(part.node, None)

    def num_free(self, node_id: str) -> int:
        """Cores of a node that no job has."""
        node = self._nodes[node_id]
        return max(0, node.num_cores - sum(self._taken[node_id].values()))

    def _give_node(self, node_id: str, num_cores: int, positions: list[int]) -> NodeAllocation:
        node = self._nodes.get(node_id)
        free = [] if node is None else self._free_cores(node)
        if node is None or len(free) < num_cores:
            raise ResourcesError(
                f"node '{node_id}' does not have the cores that were counted",
                seen=f"{len(free)} free",
                expected=f"{num_cores}",
                next_step="nothing is lost: the job waits on",
            )
        cores = tuple(sorted(free[:num_cores]))
        del free[:num_cores]
        self._taken[node_id].update(cores)
        devices = accelerators(node) if positions else ()
        return NodeAllocation(node=node_id, cores=cores, devices=tuple(devices[position].id for position in positions))

    def _free_cores(self, node: Node) -> list[int]:
        if node.id not in self._free:
            cores, taken = node.cores, self._taken[node.id]
            if len(set(cores)) == len(cores):
                self._free[node.id] = [core for core in cores if not taken[core]] if taken else list(cores)
            else:  # a core that is listed twice is given again only where all others are taken
                listed = Counter(cores)
                free = [(round_, core) for core, count in listed.items() for round_ in range(taken[core], count)]
                self._free[node.id] = [core for _, core in sorted(free)]
        return self._free[node.id]


def accelerators(node: Node) -> tuple[Device, ...]:
    """Devices other than CPUs; a `WorkerPlace` names them by their positions in this."""
    return tuple(device for device in node.devices if device.kind != "cpu")
