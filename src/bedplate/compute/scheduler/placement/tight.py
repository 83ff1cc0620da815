"""`tight`: the node on which the least is left, found in one pass over all nodes; for queues of thousands.

Devices that are left count first, then cores. A share goes where the least of a device is left; work on CPUs only goes to nodes
without devices, then to those whose devices are taken. It knows no mix and keeps no table, so a decision costs the same
whatever happened since: a few nanoseconds a device. Ties are broken by the digest of the node's name.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Classes, Floats, Ints, States
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE

_NO_BIAS = np.zeros(0)
_ALL = np.zeros(0, bool)


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` and `seed` have no effect."""
    return TightPolicy(cluster)


class TightPolicy:
    """Keeps nothing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def observe(self, item: int) -> None:
        """Nothing is learned."""

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """See `PlacementPolicy`."""
        cluster = self._cluster
        node, device, cost = _tightest(
            cluster.free,
            cluster.requests,
            item,
            cluster.usable_N,
            _ALL if allowed_N is None else allowed_N,
            _NO_BIAS if bias_N is None else bias_N,
            cluster.digest_N,
        )
        return None if node < 0 else Choice(node=node, device=device, cost=cost)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _tightest(
    free: States, classes: Classes, item: int, usable_N: Bools, allowed_N: Bools, bias_N: Floats, digest_N: Ints
) -> tuple[int, int, float]:
    """Node, device as `Cluster.place` takes it, and cost; the node is -1 if there is none."""
    cpu, memory = classes.cpu[item], classes.memory[item]
    count, share, models = classes.devices[item], classes.share[item], classes.models[item]
    best, best_device, best_cost, best_cpu = -1, -1, np.inf, 0
    for node in range(len(free.cpu)):
        if free.cpu[node] < cpu or free.memory[node] < memory or not usable_N[node]:
            continue
        if len(allowed_N) and not allowed_N[node]:
            continue
        left, device, least = 0, -1, 2 * WHOLE
        for at in range(free.devices[node]):
            have = free.shares[node, at]
            left += have
            if count and have >= share and (models >> free.model[node, at]) & 1 and have < least:
                device, least = at, have
        if count and device < 0:
            continue
        if count > 0 and share == WHOLE:
            device = _model_with(free.shares[node], free.model[node], free.devices[node], count, models)
            if device < 0:
                continue
            if (free.model[node, : free.devices[node]] == free.model[node, 0]).all():
                device = -1
        cost = float(left - count * share)
        if 0 < share < WHOLE:
            cost = cost + (least - share) / WHOLE
        if len(bias_N):
            cost += bias_N[node]
        is_better = cost < best_cost or (cost == best_cost and free.cpu[node] < best_cpu)
        is_equal = cost == best_cost and free.cpu[node] == best_cpu
        if is_better or (is_equal and digest_N[node] < digest_N[best]):
            best, best_device, best_cost, best_cpu = node, device, cost, free.cpu[node]
    return best, best_device, best_cost


@njit(cache=True)  # type: ignore[untyped-decorator]
def _model_with(shares: Ints, model: Ints, num_devices: int, count: int, models: int) -> int:
    """The first free device of a model of which `count` are free; -1 if there is none."""
    for first in range(num_devices):
        if shares[first] != WHOLE or not (models >> model[first]) & 1:
            continue
        same = 0
        for at in range(first, num_devices):
            same += shares[at] == WHOLE and model[at] == model[first]
        if same >= count:
            return first
    return -1
