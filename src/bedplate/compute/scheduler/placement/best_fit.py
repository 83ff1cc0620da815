"""`best-fit`: the node on which the least CPU and device capacity is left, each as a share of the largest node's; on a node
the device on which the least is left.

Source: the baseline of the same name in the FGD artefact (see `fgd.py`), with its whole-number scores.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats, Ints, States
from bedplate.compute.scheduler.placement.base import PlacementPolicy, Ties
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.cost_table import CheapestPolicy
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` and `seed` have no effect."""

    def cost(item: int, nodes_M: Ints, after: States) -> Floats:
        most_milli = cluster.most_devices * WHOLE
        left_M = after.cpu / cluster.most_cpu_milli / 2 + after.shares.sum(axis=1) / most_milli / 2
        score: Floats = -np.floor(100 * (1 - left_M))
        return score

    return CheapestPolicy(cluster, cost, Ties.DIGEST)
