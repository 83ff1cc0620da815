"""`random`: any node where the request fits, any device of it; the floor that every policy must beat."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools, Floats, Ints
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.candidates import find_candidates, fits
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
        nodes = self._fitting(item, allowed_N)
        if not len(nodes):
            return None
        bias = np.zeros(len(nodes)) if bias_N is None else bias_N[nodes]
        node = int(self._generator.choice(nodes[bias == bias.min()]))
        return Choice(node=node, device=int(self._generator.choice(self._devices(item, node))), cost=float(bias.min()))

    def _fitting(self, item: int, allowed_N: Bools | None) -> Ints:
        nodes = np.flatnonzero(self._cluster.usable_N if allowed_N is None else self._cluster.usable_N & allowed_N)
        fitting: Ints = nodes[fits(self._cluster.free, self._cluster.requests, item, nodes)]
        return fitting

    def _devices(self, item: int, node: int) -> Ints:
        device_M: Ints = find_candidates(self._cluster.free, self._cluster.requests, item, np.array([node]))[1]
        return device_M


def make_policy(cluster: Cluster, mix: Mix, seed: int = 0) -> PlacementPolicy:
    """See the file's header; `mix` has no effect."""
    return RandomPolicy(cluster, seed)
