"""What a placement policy is, and the table that most of them share.

A policy gives every candidate (a node and, for a share, a device) a cost; the cheapest is taken. Costs depend on the
class and on one node's state, so they are kept in a table and computed again only for nodes that changed since the class
arrived last: thousands of nodes cost microseconds a decision.

Ties are broken by a rule that does not lean on the order of the nodes: the one with the least free device capacity, of those
the one with the least free CPU, of those the first by the digest of its name; or by the digest alone (`Ties.DIGEST`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xxhash

from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster, Floats, Ints, States

TIE = 1e-6
"""Costs nearer to each other are equal; they are in thousandths of a device, or scores of that size."""


class Ties(enum.Enum):
    """Which of several equally cheap nodes is taken."""

    FULLEST = "fullest"
    """Least free device capacity, then least free CPU, then the digest of the name."""
    DIGEST = "digest"
    """The digest of the name: an order without a meaning, the same for every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where a request goes."""

    node: int
    device: int
    """For a share; -1 for whole devices and for none."""


class PlacementPolicy(Protocol):
    """Chooses a node for one request after the other. Has one owner; sees the cluster as it is when asked."""

    def choose(self, item: int) -> Choice | None:
        """Where a request of class `item` goes; None if it fits nowhere."""
        ...


class Cost(Protocol):
    """What a policy of the table is: the cost of the states that candidates leave."""

    def __call__(self, item: int, nodes_M: Ints, after: States) -> Floats:
        """Cost of each candidate, shape (M,); the lowest wins.

        Args:
            item: Class of the request.
            nodes_M: Node of each candidate; the cluster has its state before.
            after: The states afterwards, shape (M,).
        """
        ...


class CostTable:
    """The cheapest candidate of each node by class, computed where it is stale."""

    def __init__(self, cluster: Cluster, cost: Cost, ties: Ties) -> None:
        self._cluster = cluster
        self._cost = cost
        self._ties = ties
        shape = (len(cluster.classes), len(cluster.nodes))
        self.cost_CN = np.full(shape, np.inf)
        """Infinity where it does not fit; of a class, right after `refresh`."""
        self.device_CN = np.full(shape, -1, np.int16)
        self._version_CN = np.full(shape, -1, np.int64)
        names = [node.name for node in cluster.nodes]
        self._rank_N = np.argsort(np.argsort([xxhash.xxh64_intdigest(name.encode()) for name in names]))

    def refresh(self, item: int) -> tuple[Ints, States]:
        """Bring the row of class `item` up to date.

        Returns:
            Nodes that were stale and where it fits, and the states that their cheapest candidates leave.
        """
        stale = np.flatnonzero(self._version_CN[item] != self._cluster.version_N)
        self._version_CN[item] = self._cluster.version_N
        owner_M, device_M, after = find_candidates(self._cluster.free, self._cluster.requests, item, stale)
        self.cost_CN[item, stale] = np.inf
        nodes_M = stale[owner_M]
        if len(nodes_M):
            cost_M = self._cost(item, nodes_M, after)
            best = _cheapest_by_node(nodes_M, cost_M, after, device_M)
            nodes_M, after = nodes_M[best], States(*(field[best] for field in after))
            self.cost_CN[item, nodes_M] = cost_M[best]
            self.device_CN[item, nodes_M] = device_M[best]
        return nodes_M, after

    def cheapest(self, item: int, cost_N: Floats) -> Choice | None:
        """The node of the least cost in `cost_N`, by the rule for ties."""
        lowest = cost_N.min(initial=np.inf)
        if not np.isfinite(lowest):
            return None
        nodes = np.flatnonzero(cost_N <= lowest + TIE)
        node = int(nodes[np.lexsort(self._tie_keys(nodes))[0]])
        return Choice(node=node, device=int(self.device_CN[item, node]))

    def _tie_keys(self, nodes: Ints) -> tuple[Ints, ...]:
        """Keys of a lexicographic order, the last one first."""
        if self._ties is Ties.DIGEST:
            return (self._rank_N[nodes],)
        free = self._cluster.free
        return self._rank_N[nodes], free.cpu[nodes], free.shares[nodes].sum(axis=1)

    def invalidate(self) -> None:
        """Compute everything again when it is asked for: the cost itself changed."""
        self._version_CN[:] = -1


class CheapestPolicy:
    """Takes the candidate of least cost."""

    def __init__(self, cluster: Cluster, cost: Cost, ties: Ties = Ties.FULLEST) -> None:
        self._table = CostTable(cluster, cost, ties)

    def choose(self, item: int) -> Choice | None:
        """See `PlacementPolicy`."""
        self._table.refresh(item)
        return self._table.cheapest(item, self._table.cost_CN[item])


def _cheapest_by_node(nodes_M: Ints, cost_M: Floats, after: States, device_M: Ints) -> Ints:
    """Position of each node's cheapest candidate; of equal ones that which leaves the least on its device."""
    left_M = after.shares[np.arange(len(nodes_M)), np.maximum(device_M, 0)] if after.shares.shape[1] else device_M
    order = np.lexsort((left_M, np.round(cost_M, 6), nodes_M))
    is_first = np.ones(len(order), bool)
    is_first[1:] = nodes_M[order[1:]] != nodes_M[order[:-1]]
    return order[is_first]
