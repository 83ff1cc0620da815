"""`best-fit`: the node on which the least CPU and device capacity is left, each as a share of the largest node's; on a node
the device on which the least is left.

Source: the baseline of the same name in the FGD artefact (see `fgd.py`), with its whole-number scores.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.base import CheapestPolicy, PlacementPolicy, Ties
from bedplate.compute.scheduler.placement.cluster import WHOLE, Cluster, Floats, Ints, States
from bedplate.compute.scheduler.placement.mix import Mix


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` and `seed` have no effect."""
    most_cpu = max(max((node.cpu_milli for node in cluster.nodes), default=0), 1)
    most_devices = max(max((node.num_devices for node in cluster.nodes), default=0), 1) * WHOLE

    def cost(item: int, nodes_M: Ints, after: States) -> Floats:
        left_M = after.cpu / most_cpu / 2 + after.shares.sum(axis=1) / most_devices / 2
        score: Floats = -np.floor(100 * (1 - left_M))
        return score

    return CheapestPolicy(cluster, cost, Ties.DIGEST)
