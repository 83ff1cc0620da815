"""`tight`: the node on which the least is left, found in one pass over all nodes; for queues of thousands.

Devices that are left count first, then cores. A share goes where the least of a device is left; work on CPUs only goes to nodes
without devices, then to those whose devices are taken. It knows no mix, and of each node it keeps a summary only, so a decision
costs a few nanoseconds a node. Ties are broken by the digest of the node's name.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Classes, Floats, Ints, States, grown
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE

_NO_BIAS = np.zeros(0)
_ALL = np.zeros(0, bool)


class Summary(NamedTuple):
    """Of the devices of each node, all models together; every array has the shape (N,)."""

    version: Ints
    """State that it is of; -1 if of none."""
    left: Ints
    """Free thousandths."""
    whole: Ints
    """Devices that are free as a whole."""
    most: Ints
    """Most that is free of any device."""


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` and `seed` have no effect."""
    return TightPolicy(cluster)


class TightPolicy:
    """Keeps the summary of each node, as of a version of its state."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._summary = Summary(*(np.zeros(0, np.int64) for _ in Summary._fields))

    def observe(self, item: int) -> None:
        """Nothing is learned."""

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """See `PlacementPolicy`."""
        cluster = self._cluster
        if len(self._summary.version) < len(cluster.nodes):
            self._summary = Summary(*(grown(field, (len(cluster.nodes),), -1) for field in self._summary))
        node, device, cost = _tightest(
            cluster.free,
            cluster.requests,
            item,
            cluster.usable_N,
            _ALL if allowed_N is None else allowed_N,
            _NO_BIAS if bias_N is None else bias_N,
            cluster.digest_N,
            cluster.version_N,
            self._summary,
        )
        return None if node < 0 else Choice(node=node, device=device, cost=cost)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _tightest(
    free: States,
    classes: Classes,
    item: int,
    usable_N: Bools,
    allowed_N: Bools,
    bias_N: Floats,
    digest_N: Ints,
    version_N: Ints,
    summary: Summary,
) -> tuple[int, int, float]:
    """Node, device as `Cluster.place` takes it, and cost; the node is -1 if there is none."""
    cpu, memory = classes.cpu[item], classes.memory[item]
    count, share, models = classes.devices[item], classes.share[item], classes.models[item]
    cpu_N, memory_N, shares_NG, model_NG = free.cpu, free.memory, free.shares, free.model
    known_N, left_N, whole_N, most_N = summary.version, summary.left, summary.whole, summary.most
    is_share = 0 < share < WHOLE
    best, best_device, best_cost, best_cpu = -1, -1, np.inf, 0
    for node in range(len(cpu_N)):
        if known_N[node] != version_N[node]:
            known_N[node] = version_N[node]
            left_N[node], whole_N[node], most_N[node] = 0, 0, 0
            for at in range(free.devices[node]):
                have = shares_NG[node, at]
                left_N[node] += have
                whole_N[node] += have == WHOLE
                most_N[node] = max(most_N[node], have)
        if cpu_N[node] < cpu or memory_N[node] < memory or not usable_N[node]:
            continue
        if most_N[node] < share or (not is_share and whole_N[node] < count) or (len(allowed_N) and not allowed_N[node]):
            continue
        cost = float(left_N[node] - count * share)
        if len(bias_N):
            cost += bias_N[node]
        if cost > best_cost or (cost == best_cost and cpu_N[node] > best_cpu and not is_share):
            continue
        device = -1
        if is_share:
            least = 2 * WHOLE
            for at in range(free.devices[node]):
                have = shares_NG[node, at]
                if share <= have < least and (models >> model_NG[node, at]) & 1:
                    device, least = at, have
            if device < 0:
                continue
            cost += (least - share) / WHOLE
        elif count > 0:
            device = _model_with(shares_NG, model_NG, node, free.devices[node], count, models)
            if device < -1:
                continue
        is_better = cost < best_cost or (cost == best_cost and cpu_N[node] < best_cpu)
        is_equal = cost == best_cost and cpu_N[node] == best_cpu
        if is_better or (is_equal and digest_N[node] < digest_N[best]):
            best, best_device, best_cost, best_cpu = node, device, cost, cpu_N[node]
    return best, best_device, best_cost


@njit(cache=True)  # type: ignore[untyped-decorator]
def _model_with(shares_NG: Ints, model_NG: Ints, node: int, num_devices: int, count: int, models: int) -> int:
    """The first free device of a model of which `count` are free, -1 where all are of one model; -2 if there is none."""
    is_uniform = True
    for at in range(1, num_devices):
        is_uniform &= model_NG[node, at] == model_NG[node, 0]
    for first in range(num_devices):
        if shares_NG[node, first] != WHOLE or not (models >> model_NG[node, first]) & 1:
            continue
        same = 0
        for at in range(first, num_devices):
            same += shares_NG[node, at] == WHOLE and model_NG[node, at] == model_NG[node, first]
        if same >= count:
            return -1 if is_uniform else first
    return -2
