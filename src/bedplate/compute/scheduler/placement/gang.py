"""Gangs: several requests of one class that are placed together or not at all.

Where: in the innermost group of the network (a node, a leaf, what leaves are in, everything) that has room for all, as far
out as the topology allows. Of several groups those that the policy finds as cheap as the cheapest, of these the one that has
the least room left, so that large free groups stay whole. A group is filled through as few of its inner groups as possible:
the roomiest first, and last the one that just suffices. (So do topology-aware schedulers, Kueue's among them; the policy's
say is ours.)

How: on a node, as many as fit are one request (four of two devices are one of eight), for which the policy ranks the nodes of
a leaf once. A gang of 128 whole nodes in four leaves takes four rankings rather than 128 decisions.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints
from bedplate.compute.scheduler.placement.base import PlacementPolicy
from bedplate.compute.scheduler.placement.candidates import copies_that_fit
from bedplate.compute.scheduler.placement.cluster import Cluster, Taken
from bedplate.compute.scheduler.placement.request import WHOLE

_LEAF = 1
_AS_CHEAP_FRAC = 0.1
"""Groups are as cheap as the cheapest within this part of the way to the dearest."""


class Topology(enum.StrEnum):
    """How near to each other the workers of a gang must be."""

    SAME_NODE = "same-node"
    SAME_LEAF = "same-leaf"
    ANY = "any"
    """As near as there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """Workers that start together."""

    item: int
    """Class of each worker."""
    count: int
    min_count: int | None = None
    """As many workers as fit, but no fewer; all of them if None."""
    topology: Topology = Topology.ANY

    @property
    def least(self) -> int:
        """Workers without which it does not start."""
        return self.count if self.min_count is None else self.min_count


def place_gang(
    cluster: Cluster, policy: PlacementPolicy, gang: Gang, allowed_N: Bools | None = None, bias_N: Floats | None = None
) -> list[Taken]:
    """Take what each worker needs.

    Args:
        cluster: Where.
        policy: Over this cluster.
        gang: What.
        allowed_N: As `PlacementPolicy.choose` has it.
        bias_N: The same.

    Returns:
        What each worker holds, node by node, leaf by leaf: neighbours in the list are neighbours in the network. Empty, and
        nothing is taken, if there is no room for the least number.
    """
    room = _Room(cluster, gang, allowed_N)
    enough = room.groups()
    if enough is None:
        return []
    return _Filler(cluster, policy, gang, room.copies_N, bias_N).fill(enough)


def find_room(cluster: Cluster, gang: Gang, allowed_N: Bools | None = None) -> int:
    """How many of a gang's workers there is room for under its topology; 0 if fewer than its least."""
    groups = _Room(cluster, gang, allowed_N).groups()
    return 0 if groups is None else groups.count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Groups:
    """Groups of one level, each with room for `count` workers."""

    level: int
    numbers: Ints
    count: int


class _Room:
    """Where there is room for how many workers of a gang."""

    def __init__(self, cluster: Cluster, gang: Gang, allowed_N: Bools | None) -> None:
        self._gang = gang
        nodes = np.flatnonzero(cluster.usable_N if allowed_N is None else cluster.usable_N & allowed_N)
        self.copies_N = np.zeros(len(cluster.nodes), np.int64)
        self.copies_N[nodes] = np.minimum(copies_that_fit(cluster.free, cluster.requests, gang.item, nodes), gang.count)
        self._levels = cluster.tree.levels
        if gang.topology is not Topology.ANY:
            self._levels = self._levels[: min(1 + (gang.topology is Topology.SAME_LEAF), len(self._levels) - 1)]

    def groups(self) -> _Groups | None:
        """The innermost that have room for all workers; else the roomiest that the topology allows, if it is enough."""
        if not len(self.copies_N):
            return None
        for level, group_N in enumerate(self._levels):
            room_D = np.bincount(group_N, self.copies_N).astype(np.int64)
            if (room_D >= self._gang.count).any():
                return _Groups(level=level, numbers=np.flatnonzero(room_D >= self._gang.count), count=self._gang.count)
        most = int(room_D.max())
        if most == 0 or most < self._gang.least:
            return None
        return _Groups(level=level, numbers=np.flatnonzero(room_D == most), count=most)


class _Filler:
    """Places one gang."""

    def __init__(self, cluster: Cluster, policy: PlacementPolicy, gang: Gang, room_N: Ints, bias_N: Floats | None) -> None:
        self._cluster, self._policy, self._gang, self._bias_N = cluster, policy, gang, bias_N
        self._room_N = room_N
        self._levels = cluster.tree.levels

    def fill(self, groups: _Groups) -> list[Taken]:
        """Place the gang in one of the groups."""
        group_N = self._levels[groups.level]
        if groups.level == 0:
            return self._fill_leaf(groups.numbers, groups.count)
        group = self._best(group_N, groups) if len(groups.numbers) > 1 else groups.numbers[0]
        return self._fill_group(groups.level, np.flatnonzero((group_N == group) & (self._room_N > 0)), groups.count)

    def _best(self, group_N: Ints, groups: _Groups) -> int:
        """Of several groups with enough room: as cheap as the cheapest, then the least room."""
        mask_N = np.isin(group_N, groups.numbers) & (self._room_N > 0)
        room_D = np.bincount(group_N, self._room_N)
        ranking = self._policy.rank(self._gang.item, len(group_N), mask_N, self._bias_N)
        order = np.argsort(group_N[ranking.nodes], kind="stable")
        group_K, cost_K, room_K = (part[order] for part in (group_N[ranking.nodes], ranking.costs, self._room_N[ranking.nodes]))
        starts = np.flatnonzero(np.append(True, group_K[1:] != group_K[:-1]))
        before_K = np.cumsum(room_K) - room_K
        before_K -= np.repeat(before_K[starts], np.diff(np.append(starts, len(group_K))))
        used_K = np.clip(groups.count - before_K, 0, room_K)
        cost_D = np.add.reduceat(cost_K * used_K, starts) / np.maximum(np.add.reduceat(used_K, starts), 1)
        is_cheap_D = cost_D <= cost_D.min() + _AS_CHEAP_FRAC * (cost_D.max() - cost_D.min())
        cheap = group_K[starts][is_cheap_D]
        return int(cheap[np.lexsort((cost_D[is_cheap_D], room_D[cheap]))[0]])

    def _fill_group(self, level: int, nodes: Ints, count: int) -> list[Taken]:
        """Place `count` workers on `nodes`, a group of that level, which have room for them."""
        if level <= _LEAF:
            return self._fill_leaf(nodes, count)
        inner_K = self._levels[level - 1][nodes]
        room_D = np.bincount(inner_K, self._room_N[nodes]).astype(np.int64)
        taken: list[Taken] = []
        while count > 0:
            enough = np.flatnonzero(room_D >= count)
            group = int(enough[np.argmin(room_D[enough])]) if len(enough) else int(np.argmax(room_D))
            here = min(count, int(room_D[group]))
            taken += self._fill_group(level - 1, nodes[inner_K == group], here)
            room_D[group], count = 0, count - here
        return taken

    def _fill_leaf(self, nodes: Ints, count: int) -> list[Taken]:
        """As many workers on a node as fit, so that they are on few nodes."""
        room_K = self._room_N[nodes]
        taken: list[Taken] = []
        while count > 0:
            copies = min(int(room_K.max()), count)
            mask_N = np.zeros(len(self._room_N), bool)
            mask_N[nodes[room_K >= copies]] = True
            chosen = self._policy.rank(self._copies(copies), count // copies, mask_N, self._bias_N)
            for node, device in zip(chosen.nodes.tolist(), chosen.devices.tolist(), strict=True):
                taken += self._place(node, device, copies)
            room_K[np.isin(nodes, chosen.nodes)] = 0
            count -= copies * len(chosen.nodes)
        return taken

    def _copies(self, copies: int) -> int:
        """The class of so many workers on one node; that of one worker where it takes shares, which are no class together."""
        need = self._cluster.classes[self._gang.item]
        if copies == 1 or 0 < need.share_milli < WHOLE:
            return self._gang.item
        return self._cluster.class_of(
            replace(
                need,
                cpu_milli=copies * need.cpu_milli,
                memory_mib=copies * need.memory_mib,
                num_devices=copies * need.num_devices,
            )
        )

    def _place(self, node: int, device: int, copies: int) -> list[Taken]:
        item = self._gang.item
        if copies == 1 or not 0 < self._cluster.classes[item].share_milli < WHOLE:
            return [self._cluster.place(node, item, device) for _ in range(copies)]
        only_N = np.arange(len(self._room_N)) == node
        taken = []
        for _ in range(copies):
            choice = self._policy.choose(item, only_N)
            assert choice is not None, "the room was counted"
            taken.append(self._cluster.place(node, item, choice.device))
        return taken
