"""`together`: workers of one job, or replicas that share a cache, near to those that are there; the opposite of `spread`.

A node with one of them is worth half of what the request holds, one of the same leaf a quarter.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def bias(facts: Facts) -> Floats:
    """See the file's header; thousandths of a device, 0 or less."""
    if facts.siblings_N is None:
        return np.zeros(facts.num_nodes)
    leaf_N = facts.cluster.leaf_N
    is_on_leaf_N = np.bincount(leaf_N, facts.siblings_N)[leaf_N] > 0
    cost_N: Floats = -np.where(facts.siblings_N > 0, 0.5, np.where(is_on_leaf_N, 0.25, 0.0)) * facts.scale
    return cost_N
