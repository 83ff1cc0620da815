"""`gpu-packing`: devices in use first, then free devices of nodes in use, then free nodes, the smallest first.

Source: the baseline GpuPacking of the FGD artefact (see `fgd.py`), with its scores; without devices there is no preference.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats, Ints, States
from bedplate.compute.scheduler.placement.base import PlacementPolicy, Ties
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.cost_table import CheapestPolicy
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE

_USED_DEVICES, _USED_NODES, _FREE_NODES = 100, 50, 33


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` and `seed` have no effect."""

    def cost(item: int, nodes_M: Ints, after: States) -> Floats:
        if cluster.classes[item].num_devices == 0:
            return np.zeros(len(nodes_M))
        shares_MG = cluster.free.shares[nodes_M]
        was_free_M = (shares_MG == WHOLE).sum(axis=1)
        newly_used_M = was_free_M - (after.shares == WHOLE).sum(axis=1)
        free_on_used_M = np.where(shares_MG > after.shares, shares_MG, 0).sum(axis=1) * 100 // WHOLE
        score_M = np.where(newly_used_M > 0, _USED_NODES - newly_used_M, _USED_DEVICES - free_on_used_M // 10)
        on_free_node_M = was_free_M == after.devices
        score: Floats = -np.where(on_free_node_M, _FREE_NODES - was_free_M, score_M).astype(np.float64)
        return score

    return CheapestPolicy(cluster, cost, Ties.DIGEST)
