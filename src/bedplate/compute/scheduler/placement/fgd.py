"""`fgd`: fragmentation gradient descent, the published policy to beat.

The fragmentation of a node, seen by a class of requests, is the free device capacity that the class cannot use there: all
of it where it does not fit, otherwise the devices with less free than it needs. Its expectation over the typical classes is
what a placement should let grow least. As published, the score is a whole number from 0 to 100 (a sigmoid of the
decrease, in devices), memory is not looked at, and the typical classes are the most popular ones that cover 95 % of requests.

Ours differs where several nodes have one score: the artefact takes the first by name, which leans on how nodes were named;
here the digest of the name decides.

Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX
ATC 2023, and its artefact (hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Floats, Ints, States
from bedplate.compute.scheduler.placement.base import PlacementPolicy, Ties
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.cost_table import CheapestPolicy
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE

TYPICAL_FRAC = 0.95


class TypicalClasses(NamedTuple):
    """The classes that fragmentation is measured by; every array has the shape (T,)."""

    cpu: Ints
    devices: Ints
    share: Ints
    models: Ints
    frequency: Floats


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `seed` has no effect."""
    typical = typical_classes(cluster, mix)

    def cost(item: int, nodes_M: Ints, after: States) -> Floats:
        nodes, owner_M = np.unique(nodes_M, return_inverse=True)
        before = fragmentation(rows_of(cluster.free, nodes), typical)
        decrease_M = before[owner_M] - fragmentation(after, typical)
        score: Floats = -np.floor(100 / (1 + np.exp(-decrease_M / WHOLE)))
        return score

    return CheapestPolicy(cluster, cost, Ties.DIGEST)


def typical_classes(cluster: Cluster, mix: Mix) -> TypicalClasses:
    """The most popular classes; those that differ in memory only are one."""
    requests = cluster.requests
    merged: dict[tuple[int, int, int, int], float] = {}
    keys = zip(*(field.tolist() for field in (requests.cpu, requests.share, requests.devices, requests.models)), strict=True)
    for key, count in zip(keys, mix.count_C.tolist(), strict=True):
        merged[key] = merged.get(key, 0.0) + count
    popular = Mix(count_C=np.array(list(merged.values())))
    chosen = popular.most_popular(TYPICAL_FRAC, list(merged))
    table = np.array(list(merged), np.int64).reshape(-1, 4)[chosen]
    frequency = Mix(count_C=popular.count_C[chosen]).frequency
    return TypicalClasses(table[:, 0], table[:, 2], table[:, 1], table[:, 3], frequency)


@njit(cache=True)  # type: ignore[untyped-decorator]
def fragmentation(states: States, typical: TypicalClasses) -> Floats:
    """Expected device capacity that a typical request cannot use, in thousandths of a device, shape (M,).

    On a node of several models the devices of all that it accepts count for a class, though they will be of one. O(M * T * G).
    """
    result = np.zeros(len(states.cpu))
    for at in range(len(states.cpu)):
        free = states.shares[at].sum()
        if free == 0:
            continue
        for item in range(len(typical.cpu)):
            fits, models = typical.cpu[item] <= states.cpu[at], typical.models[item]
            usable, too_small = 0, 0
            for device in range(states.devices[at]):
                if states.shares[at, device] >= typical.share[item] and (models >> states.model[at, device]) & 1:
                    usable += 1
                else:
                    too_small += states.shares[at, device]
            if typical.devices[item] == 0 or not fits or usable < typical.devices[item]:
                too_small = free
            result[at] += typical.frequency[item] * too_small
    return result
