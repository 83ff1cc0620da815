"""What no policy can exceed: a linear programme that knows every arrival.

Requests may be divided over nodes and refused at will; nodes that are alike are one. CPU, memory and devices hold for each
kind of node in total, and shares of a device must be packings of it (columns, priced by a knapsack). A policy that does
not know the future, places whole requests and refuses none that fits, stays below.

A request that fits on no node of a kind cannot go there. The value is an upper bound at every step of the column generation
(Farley's: the programme's value plus what the best columns could still add), so it may stop early.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from bedplate.compute.scheduler.placement.arrays import Floats, Ints
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.device_values import best_packings, packing_of
from bedplate.compute.scheduler.placement.request import WHOLE

PRECISION = 1e-3
"""The bound may be this fraction above the programme's optimum."""
_MAX_ROUNDS = 60
_TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class _NodeKind:
    cpu: int
    memory: int
    models: tuple[int, ...]
    """Of each device."""
    count: int


def allocation_bound(cluster: Cluster, count_C: Floats) -> float:
    """Fraction of the devices' capacity that can be allocated at most.

    Args:
        cluster: Empty.
        count_C: Requests of each class that arrived.
    """
    programme = _Programme(cluster, count_C)
    if not programme.has_columns:
        return 0.0
    for _ in range(_MAX_ROUNDS):
        allocated, addable = programme.improve()
        if addable <= PRECISION * allocated:
            break
    return min((allocated + addable) / (cluster.capacity_milli / WHOLE), 1.0)


class _Programme:
    """Rows: CPU, memory and devices of each kind; packed shares of each size and kind. Columns: requests, then packings."""

    def __init__(self, cluster: Cluster, count_C: Floats) -> None:
        free, requests = cluster.free, cluster.requests
        fields = zip(*(field.tolist() for field in (free.cpu, free.memory, free.devices, free.model)), strict=True)
        alike = Counter((cpu, memory, tuple(model[:devices])) for cpu, memory, devices, model in fields)
        self._kinds = [
            _NodeKind(cpu=cpu, memory=memory, models=models, count=count)
            for (cpu, memory, models), count in alike.items()
            if models
        ]
        self._requests, self._count_C = requests, count_C
        self._used: list[int] = np.flatnonzero((count_C > 0) & (requests.devices > 0)).tolist()
        self._sizes = np.unique(requests.share[self._used][requests.share[self._used] < WHOLE])
        self._columns = [(item, at) for item in self._used for at, kind in enumerate(self._kinds) if self._may_go(item, kind)]
        self._packings: list[tuple[int, Ints]] = [
            (at, np.where(self._sizes == size, WHOLE // size, 0)) for size in self._sizes for at in range(len(self._kinds))
        ]
        self._entries = self._request_entries()

    @property
    def has_columns(self) -> bool:
        """Whether any request fits on any node."""
        return bool(self._columns)

    def improve(self) -> tuple[float, float]:
        """Solve; add the packings that pay. Returns devices allocated, and how many more a solution could reach."""
        price_row, allocated = self._solve()
        num_kinds, addable = len(self._kinds), 0.0
        for at, kind in enumerate(self._kinds):
            if not len(self._sizes):
                break
            price_S = price_row[3 * num_kinds + at :: num_kinds][: len(self._sizes)]
            best, last = best_packings(self._sizes, price_S, WHOLE)
            gain = best[WHOLE] - price_row[3 * at + 2]
            if gain > _TOLERANCE:
                addable += gain * len(kind.models) * kind.count
                self._packings.append((at, packing_of(self._sizes, last, WHOLE)))
        return allocated, addable

    def _may_go(self, item: int, kind: _NodeKind) -> bool:
        need = self._requests
        num_accepted = sum((int(need.models[item]) >> model) & 1 for model in kind.models)
        return bool(need.cpu[item] <= kind.cpu and need.memory[item] <= kind.memory and need.devices[item] <= num_accepted)

    def _request_entries(self) -> list[tuple[int, int, float]]:
        """(row, column, value) of the columns of requests."""
        need, num_kinds = self._requests, len(self._kinds)
        row_of_class = {item: self._num_rows + at for at, item in enumerate(self._used)}
        entries = []
        for column, (item, at) in enumerate(self._columns):
            entries += [(3 * at, column, float(need.cpu[item])), (3 * at + 1, column, float(need.memory[item]))]
            if need.share[item] == WHOLE:
                entries.append((3 * at + 2, column, float(need.devices[item])))
            else:
                size = int(np.searchsorted(self._sizes, need.share[item]))
                entries.append((3 * num_kinds + size * num_kinds + at, column, 1.0))
            entries.append((row_of_class[item], column, 1.0))
        return entries

    @property
    def _num_rows(self) -> int:
        return (3 + len(self._sizes)) * len(self._kinds)

    def _solve(self) -> tuple[Floats, float]:
        """Dual price of each row, and the devices allocated."""
        num_kinds, first = len(self._kinds), len(self._columns)
        entries = list(self._entries)
        for column, (at, packing_S) in enumerate(self._packings, start=first):
            entries.append((3 * at + 2, column, 1.0))
            entries += [
                (3 * num_kinds + size * num_kinds + at, column, -float(packing_S[size]))
                for size in np.flatnonzero(packing_S).tolist()
            ]
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (self._num_rows + len(self._used), first + len(self._packings))
        limits = [limit for kind in self._kinds for limit in _limits(kind)]
        limits += [0.0] * (len(self._sizes) * num_kinds) + self._count_C[self._used].tolist()
        need = self._requests
        gain = [-float(need.devices[item] * need.share[item]) / WHOLE for item, _ in self._columns]
        solution = linprog(
            np.array(gain + [0.0] * len(self._packings)),
            A_ub=csr_array((values, (rows, columns)), shape=shape),
            b_ub=np.array(limits),
            method="highs",
        )
        return -solution.ineqlin.marginals, -float(solution.fun)


def _limits(kind: _NodeKind) -> tuple[float, float, float]:
    return float(kind.cpu * kind.count), float(kind.memory * kind.count), float(len(kind.models) * kind.count)
