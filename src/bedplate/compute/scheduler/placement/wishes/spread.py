"""`spread`: replicas of a service on different nodes, and rather on different leaves: one failure should not take several.

Each replica on the node costs all that the request holds; replicas elsewhere on the leaf cost half of it together, at most.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def bias(facts: Facts) -> Floats:
    """See the file's header; thousandths of a device."""
    if facts.siblings_N is None:
        return np.zeros(facts.num_nodes)
    leaf_N = facts.cluster.leaf_N
    on_leaf_N = np.bincount(leaf_N, facts.siblings_N)[leaf_N] - facts.siblings_N
    total = max(int(facts.siblings_N.sum()), 1)
    cost_N: Floats = (facts.siblings_N + on_leaf_N / total / 2) * facts.scale
    return cost_N
