"""Puts the workers of a job on nodes: one by the placement policy, several by their topology and what nodes have room for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bedplate.compute.scheduler.gang import most_workers, spread
from bedplate.compute.scheduler.job import WHOLE, Allocation, Topology, WorkerPlace
from bedplate.compute.scheduler.needs import Shape, Variant
from bedplate.compute.scheduler.node_book import NodeBook
from bedplate.compute.scheduler.placement import open_policy
from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints
from bedplate.compute.scheduler.placement.cluster import Taken
from bedplate.compute.scheduler.placement.mix import mix_of
from bedplate.compute.scheduler.room import room
from bedplate.core.errors import UsageError


class Placer:
    """Has one owner, the state; changes the cluster, in trials of `decide` only."""

    def __init__(self, nodes: NodeBook, policy: str, past: Sequence[Shape] = ()) -> None:
        """Raises UsageError for a policy that draws: the same state must give the same decisions."""
        if policy == "random":
            raise UsageError(
                "the scheduler cannot place at random", seen=policy, expected="a policy that always decides the same"
            )
        self._nodes = nodes
        self._cluster = nodes.cluster
        mix = mix_of([shape.any_item for shape in past], len(self._cluster.classes))
        self._policy = open_policy(policy, self._cluster, mix)
        self._zeros = np.zeros(0)

    def observe(self, shape: Shape) -> None:
        """A job of that shape arrived: policies learn from it."""
        self._policy.observe(shape.any_item)

    def place(
        self, shape: Shape, variant: Variant, fewest: int, most: int, allowed_N: Bools | None, caps_N: Ints | None = None
    ) -> tuple[Taken, ...] | None:
        """Take room for workers.

        Args:
            shape: Of the job.
            variant: On which model.
            fewest: Workers that are needed.
            most: Workers that are wanted; as many as fit.
            allowed_N: Nodes where they may go; all that are usable if None.
            caps_N: The most workers that each node may be given; as many as fit if None.

        Returns:
            What was taken, one a worker; None if there is no room.
        """
        if most == 1:
            if caps_N is not None:
                allowed_N = caps_N > 0 if allowed_N is None else allowed_N & (caps_N > 0)
            choice = self._policy.choose(variant.item, allowed_N)
            return None if choice is None else (self._cluster.place(choice.node, variant.item, choice.device),)
        room_N = self.room(variant.item, allowed_N, caps_N)
        topology = shape.request.topology
        count = min(most, most_workers(room_N, self._nodes.leaf_N, topology))
        if count < fewest:
            return None
        chosen = spread(room_N, self._nodes.leaf_N, topology, count, self._no_cost)
        assert chosen is not None
        return self.take(variant, chosen)

    def take(self, variant: Variant, chosen: list[tuple[int, int]]) -> tuple[Taken, ...]:
        """Take room for so many workers on each of these nodes."""
        return tuple(
            self._cluster.place(node, variant.item, self._device(variant, node)) for node, count in chosen for _ in range(count)
        )

    def extend(
        self,
        shape: Shape,
        variant: Variant,
        most: int,
        allowed_N: Bools | None,
        caps_N: Ints | None,
        held: tuple[Taken, ...],
    ) -> tuple[Taken, ...] | None:
        """Take room for more workers of a job that holds some already, as near to them as it asks; otherwise as `place`."""
        topology, at = shape.request.topology, held[0].node if held else -1
        if topology is not Topology.ANY and held:
            leaf_N = self._nodes.leaf_N
            near_N = leaf_N == leaf_N[at] if topology is Topology.SAME_LEAF else np.arange(len(leaf_N)) == at
            allowed_N = near_N if allowed_N is None else allowed_N & near_N
        return self.place(shape, variant, 1, most, allowed_N, caps_N)

    def room(self, item: int, allowed_N: Bools | None, caps_N: Ints | None = None) -> Ints:
        """Workers of a class that each node has room for."""
        room_N: Ints = room(self._cluster.free, self._cluster.requests, item, np.arange(len(self._cluster.nodes)))
        if caps_N is not None:
            room_N = np.minimum(room_N, caps_N)
        return room_N if allowed_N is None else room_N * allowed_N

    def allocation(self, model: str, taken: tuple[Taken, ...]) -> Allocation:
        """The same in words."""
        return Allocation(model=model, places=self.places(taken))

    def places(self, taken: tuple[Taken, ...]) -> tuple[WorkerPlace, ...]:
        """The same without the model."""
        nodes = self._cluster.nodes
        return tuple(WorkerPlace(node=nodes[item.node].name, devices=item.devices) for item in taken)

    @property
    def _no_cost(self) -> Floats:
        if len(self._zeros) != len(self._cluster.nodes):
            self._zeros = np.zeros(len(self._cluster.nodes))
        return self._zeros

    def _device(self, variant: Variant, node: int) -> int:
        """Of a share: the device where the least is left. Of whole devices: any of the model."""
        need, free = variant.need, self._cluster.free
        if not need.num_devices:
            return -1
        shares_G = free.shares[node]
        fits_G = (free.model[node] == self._cluster.models.index(variant.model)) & (shares_G >= need.share_milli)
        fits_G &= np.arange(len(shares_G)) < free.devices[node]
        return int(np.argmin(np.where(fits_G, shares_G, 2 * WHOLE)))
