"""`random`: any node where the request fits, any device of it; the floor that every policy must beat."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix


class RandomPolicy:
    """Draws a node, then a device."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._generator = np.random.default_rng(seed)

    def observe(self, item: int) -> None:
        """Nothing is learned."""

    def choose(self, item: int, allowed_N: Bools | None = None, bias_N: Floats | None = None) -> Choice | None:
        """See `PlacementPolicy`; only the nodes of the least bias are drawn from."""
        may_use_N = self._cluster.usable_N if allowed_N is None else self._cluster.usable_N & allowed_N
        nodes = np.flatnonzero(may_use_N)
        owner_M, device_M, _ = find_candidates(self._cluster.free, self._cluster.requests, item, nodes)
        if not len(owner_M):
            return None
        fitting = np.unique(owner_M)
        bias = np.zeros(len(fitting)) if bias_N is None else bias_N[nodes[fitting]]
        owner = self._generator.choice(fitting[bias == bias.min()])
        device = self._generator.choice(device_M[owner_M == owner])
        return Choice(node=int(nodes[owner]), device=int(device), cost=float(bias.min()))


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` has no effect."""
    return RandomPolicy(cluster, seed)
