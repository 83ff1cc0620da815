"""`random`: any node where the request fits, any device of it; the floor that every policy must beat."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix


class RandomPolicy:
    """Draws a node, then a device."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._generator = np.random.default_rng(seed)
        self._nodes = np.arange(len(cluster.nodes))

    def choose(self, item: int) -> Choice | None:
        """See `PlacementPolicy`."""
        owner_M, device_M, _ = find_candidates(self._cluster.free, self._cluster.requests, item, self._nodes)
        if not len(owner_M):
            return None
        node = self._generator.choice(np.unique(owner_M))
        device = self._generator.choice(device_M[owner_M == node])
        return Choice(node=int(node), device=int(device))


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` has no effect."""
    return RandomPolicy(cluster, seed)
