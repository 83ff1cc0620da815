"""Room for requests that few nodes can take: what it costs to use it up.

A kind is all classes that need the same number of whole devices (two or more), or accept the same models only. Its supply
is what every node could take of it, were it the only one to arrive, in thousandths of a device.

Its demand is its part of what is free: what will arrive until the cluster is full. Where requests leave, the cluster does not
fill up for good, and the number of a kind's requests that are there at one time fluctuates as a Poisson number does; so demand
grows by the fluctuation, in proportion to how much of what was ever taken has been given back.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Classes, Floats, Ints, States
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.state_cache import StateCache

EXPONENT = 3
NUM_DEVIATIONS = 2
"""Of the number of a kind's requests that are there at one time: room for 98 % of the fluctuation."""


class Scarcity:
    """Supply and demand of each kind; J kinds."""

    def __init__(self, cluster: Cluster, mix: Mix) -> None:
        self._cluster = cluster
        kind_C, weight_C, self._demand_frac_J = _kinds(cluster, mix)
        size_J = np.bincount(kind_C[kind_C >= 0], (weight_C * cluster.requests.devices * cluster.requests.share)[kind_C >= 0])
        self._deviation_J = np.sqrt(self._demand_frac_J * cluster.capacity_milli * size_J)
        scarce = np.flatnonzero(kind_C >= 0)
        self._classes = Classes(*(field[scarce] for field in cluster.requests))
        self._kind_C, self._weight_C = kind_C[scarce], weight_C[scarce]
        self.num_kinds = len(self._demand_frac_J)
        self._supply_NJ, self._supply_J = np.zeros((0, self.num_kinds)), np.zeros(self.num_kinds)
        self._free_N, self._free = np.zeros(0, np.int64), 0
        self._version_N = np.zeros(0, np.int64)
        self._cache = StateCache(self._compute, self.num_kinds)
        self._follow()

    def prices(self) -> Floats:
        """What a thousandth of a device of each kind's supply costs now, 0 to 1, shape (J,)."""
        if not self._demand_frac_J.size:
            return self._demand_frac_J
        self._follow()
        turnover = self._cluster.released_milli / max(self._cluster.taken_milli, 1)
        demand_J = self._demand_frac_J * self._free + turnover * NUM_DEVIATIONS * self._deviation_J
        price_J: Floats = np.minimum(demand_J / np.maximum(self._supply_J, 1.0), 1.0) ** EXPONENT
        return price_J

    def lost(self, nodes_M: Ints, after: States) -> Floats:
        """What placements on `nodes_M` that leave the states `after` take from each kind's supply, shape (M, J)."""
        self._follow()
        lost: Floats = self._supply_NJ[nodes_M] - self._cache.values(after)
        return lost

    def _follow(self) -> None:
        """Bring supplies and their sums up to date."""
        version_N = self._cluster.version_N
        if (more := len(version_N) - len(self._version_N)) > 0:
            self._version_N = np.append(self._version_N, np.full(more, -1))
            self._free_N = np.append(self._free_N, np.zeros(more, np.int64))
            self._supply_NJ = np.concatenate([self._supply_NJ, np.zeros((more, self.num_kinds))])
        changed = np.flatnonzero(self._version_N != version_N)
        if not len(changed):
            return
        states = rows_of(self._cluster.free, changed)
        supply_MJ, free_M = self._cache.values(states), states.shares.sum(axis=1)
        self._supply_J += (supply_MJ - self._supply_NJ[changed]).sum(axis=0)
        self._free += int((free_M - self._free_N[changed]).sum())
        self._supply_NJ[changed], self._free_N[changed] = supply_MJ, free_M
        self._version_N[changed] = version_N[changed]

    def _compute(self, states: States) -> Floats:
        supply: Floats = _supply(states, self._classes, self._kind_C, self._weight_C, self.num_kinds)
        return supply


def _kinds(cluster: Cluster, mix: Mix) -> tuple[Ints, Floats, Floats]:
    """Kind of each class (-1: not scarce by nature), its weight within the kind, and the kinds' shares of the demand."""
    requests, demand_C = cluster.requests, mix.device_share(cluster)
    every_model = (1 << len(cluster.models)) - 1
    kind_C, names = np.full(len(demand_C), -1, np.int64), dict[tuple[int, int], int]()
    for item in np.flatnonzero(demand_C > 0):
        count, models = int(requests.devices[item]), int(requests.models[item]) & every_model
        if count > 1 or models != every_model:
            kind_C[item] = names.setdefault((count, models), len(names))
    demand_J = np.array([demand_C[kind_C == kind].sum() for kind in range(len(names))])
    weight_C = np.where(kind_C >= 0, demand_C / np.append(demand_J, 1.0)[kind_C], 0.0)
    return kind_C, weight_C, demand_J


@njit(cache=True)  # type: ignore[untyped-decorator]
def _supply(states: States, classes: Classes, kind_C: Ints, weight_C: Floats, num_kinds: int) -> Floats:
    """What each state can take of each kind, averaged over the kind's classes; shape (M, J)."""
    result = np.zeros((len(states.cpu), num_kinds))
    for at in range(len(states.cpu)):
        for item in range(len(kind_C)):
            copies = 0
            for device in range(states.devices[at]):
                if (classes.models[item] >> states.model[at, device]) & 1:
                    copies += states.shares[at, device] // classes.share[item]
            copies //= classes.devices[item]
            if classes.cpu[item] > 0:
                copies = min(copies, states.cpu[at] // classes.cpu[item])
            if classes.memory[item] > 0:
                copies = min(copies, states.memory[at] // classes.memory[item])
            result[at, kind_C[item]] += weight_C[item] * copies * classes.devices[item] * classes.share[item]
    return result
