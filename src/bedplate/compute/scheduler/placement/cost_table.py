"""The cheapest candidate of each node by class, computed where a node's state has changed; what most policies are made of.

Costs depend on the class and on a node's state, so they are kept by class and node and computed again only for nodes whose
state is another than when the class was met last, once for each different state. Rows of classes that were not met for long
are dropped, so memory is bounded: `MAX_BYTES`, or one row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints, States
from bedplate.compute.scheduler.placement.base import Choice, Cost, Ties
from bedplate.compute.scheduler.placement.candidates import find_candidates, fits
from bedplate.compute.scheduler.placement.cheapest import cheapest_node, stale_nodes
from bedplate.compute.scheduler.placement.cluster import Cluster

MAX_BYTES = 512 * 2**20
"""Of all rows."""
MAX_STATES = 1536
"""Computed in one decision, the fullest first; so a class that was not met for long does not hold up the others. The rest
follows when the class is met again."""
_NO_BIAS, _NO_PRICE = np.zeros(0), np.zeros(0)
_FEW = 32
"""So few states are computed without looking for equal ones."""

Details: TypeAlias = Callable[[Ints, States], Floats]
"""More to know of candidates, for prices that change oftener than states: (nodes, states afterwards) -> shape (M, J)."""


@dataclass(slots=True, kw_only=True)
class _Row:
    """Of one class; valid where the version is the node's."""

    version_N: Ints
    cost_N: Floats
    """Infinity where it does not fit."""
    device_N: np.ndarray[Any, np.dtype[np.int16]]
    detail_NJ: np.ndarray[Any, np.dtype[np.float32]]

    @property
    def num_bytes(self) -> int:
        return sum(array.nbytes for array in (self.version_N, self.cost_N, self.device_N, self.detail_NJ))


class CostTable:
    """Costs by class and node; has one owner, a policy."""

    def __init__(self, cluster: Cluster, cost: Cost, ties: Ties, details: Details | None = None, num_details: int = 0) -> None:
        self._cluster = cluster
        self._cost = cost
        self._ties = ties
        self._details, self._num_details = details, num_details
        self._rows: OrderedDict[int, _Row] = OrderedDict()

    def cheapest(
        self, item: int, allowed_N: Bools | None, bias_N: Floats | None, price_J: Floats | None = None
    ) -> Choice | None:
        """The node of least cost for class `item`, by the rule for ties; arguments as `PlacementPolicy.choose` has them.

        Args:
            item: Index of the class.
            allowed_N: Where it may go.
            bias_N: Added to the costs.
            price_J: Of each detail; the products are added to the costs.
        """
        row, may_use_N, bias_N, price_J = self._refreshed(item, allowed_N, bias_N, price_J)
        free, is_digest = self._cluster.free, self._ties is Ties.DIGEST
        node, cost = cheapest_node(
            row.cost_N, row.detail_NJ, may_use_N, bias_N, price_J, free, self._cluster.digest_N, is_digest
        )
        return Choice(node=node, device=int(row.device_N[node]), cost=cost) if node >= 0 else None

    def _refreshed(
        self, item: int, allowed_N: Bools | None, bias_N: Floats | None, price_J: Floats | None
    ) -> tuple[_Row, Bools, Floats, Floats]:
        """The row of a class, up to date where it may go; and where that is. Without a bias that array is empty."""
        may_use_N = self._cluster.usable_N if allowed_N is None else self._cluster.usable_N & allowed_N
        row = self._row(item)
        self._refresh(row, item, stale_nodes(row.version_N, self._cluster.version_N, may_use_N))
        return row, may_use_N, _NO_BIAS if bias_N is None else bias_N, _NO_PRICE if price_J is None else price_J

    def _refresh(self, row: _Row, item: int, stale: Ints) -> None:
        """Compute what is stale, once for each different state, at most `MAX_STATES`."""
        free, requests = self._cluster.free, self._cluster.requests
        row.version_N[stale], row.cost_N[stale] = self._cluster.version_N[stale], np.inf
        if len(stale) > _FEW:
            stale = stale[fits(free, requests, item, stale)]
        same, states = np.arange(len(stale)), stale
        if len(stale) > _FEW:
            _, first, same = np.unique(self._cluster.version_N[stale], return_index=True, return_inverse=True)
            states = stale[first]
        if len(states) > MAX_STATES:
            is_now = np.zeros(len(states), bool)
            is_now[np.argsort(free.shares[states].sum(axis=1), kind="stable")[:MAX_STATES]] = True
            row.version_N[stale[~is_now[same]]] = -1
            stale, same, states = stale[is_now[same]], (np.cumsum(is_now) - 1)[same[is_now[same]]], states[is_now]
        owner_M, device_M, after = find_candidates(free, requests, item, states)
        if not len(owner_M):
            return
        cost_M = self._cost(item, states[owner_M], after)
        best = _cheapest_by_owner(owner_M, cost_M, after, device_M)
        at = np.full(len(states), -1)
        at[owner_M[best]] = np.arange(len(best))
        nodes, chosen = stale[at[same] >= 0], at[same][at[same] >= 0]
        row.cost_N[nodes], row.device_N[nodes] = cost_M[best][chosen], device_M[best][chosen]
        if self._details is not None:
            detail_BJ = self._details(states[owner_M[best]], States(*(field[best] for field in after)))
            row.detail_NJ[nodes] = detail_BJ[chosen]

    def _row(self, item: int) -> _Row:
        """The row of a class, as long as there are nodes; the least recently used ones make room."""
        size = len(self._cluster.nodes)
        row = self._rows.get(item)
        if row is None or len(row.version_N) < size:
            row = self._rows[item] = _longer(row, size, self._num_details)
        self._rows.move_to_end(item)
        while len(self._rows) * row.num_bytes > MAX_BYTES and len(self._rows) > 1:
            self._rows.popitem(last=False)
        return row

    def invalidate(self) -> None:
        """Compute everything again when it is asked for: the cost itself changed."""
        self._rows.clear()


class CheapestPolicy:
    """Takes the candidate of least cost, whatever arrives."""

    def __init__(self, cluster: Cluster, cost: Cost, ties: Ties = Ties.FULLEST) -> None:
        self._table = CostTable(cluster, cost, ties)

    def observe(self, item: int) -> None:
        """Nothing is learned."""

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """See `PlacementPolicy`."""
        return self._table.cheapest(item, allowed_N, bias_N)


def _longer(row: _Row | None, size: int, num_details: int) -> _Row:
    if row is None:
        return _Row(
            version_N=np.full(size, -1, np.int64),
            cost_N=np.full(size, np.inf),
            device_N=np.full(size, -1, np.int16),
            detail_NJ=np.zeros((size, num_details), np.float32),
        )
    more = size - len(row.version_N)
    return _Row(
        version_N=np.append(row.version_N, np.full(more, -1, np.int64)),
        cost_N=np.append(row.cost_N, np.full(more, np.inf)),
        device_N=np.append(row.device_N, np.full(more, -1, np.int16)),
        detail_NJ=np.concatenate([row.detail_NJ, np.zeros((more, num_details), np.float32)]),
    )


def _cheapest_by_owner(owner_M: Ints, cost_M: Floats, after: States, device_M: Ints) -> Ints:
    """Position of each owner's cheapest candidate; of equal ones that which leaves the least on its device."""
    left_M = after.shares[np.arange(len(owner_M)), np.maximum(device_M, 0)] if after.shares.shape[1] else device_M
    order = np.lexsort((left_M, np.round(cost_M, 6), owner_M))
    is_first = np.ones(len(order), bool)
    is_first[1:] = owner_M[order[1:]] != owner_M[order[:-1]]
    return order[is_first]
