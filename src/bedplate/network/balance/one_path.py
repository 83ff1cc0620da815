"""One path for each flow: an edge colouring where the fabric has two tiers, improved by local search where it must.

The colouring is optimal on an intact fabric of equal links. Flows whose colour maps to a dead link, and fabrics of other
shapes, go to the path that leaves links least loaded; then flows move one at a time for as long as the sum of
(load / capacity)^4 over links falls, which it can do only finitely often.

Shape suffixes: F flows, P paths, H hops, E links.
"""

from __future__ import annotations

import numpy as np

from bedplate.network.balance.edge_colouring import colour_edges, most_edges_at_one_end
from bedplate.network.topology.fabric import Bools, Floats, Ints
from bedplate.network.topology.paths import Routes

_STEEPNESS = 4
_MAX_ROUNDS = 50
_FEW_PATHS = 4


def one_path_each(routes: Routes) -> Ints:
    """Path number of each flow, shape (F,); a live one where there is one.

    Colouring takes O(flows * leaves), the search O(rounds * flows * paths).
    """
    path_F = coloured_paths(routes)
    dead_F = ~routes.live_FP[np.arange(len(path_F)), path_F]
    path_F[dead_F & routes.is_routable] = -1
    return _LocalSearch(routes, path_F).run()


def coloured_paths(routes: Routes) -> Ints:
    """Path of each flow by edge colouring of leaf pairs, dead or alive.

    On a fabric that is not two-tier, every flow that leaves its leaf gets -1.
    """
    num_flows, num_paths, num_hops = routes.hops_FPH.shape
    path_F = np.zeros(num_flows, dtype=np.int64)
    crosses_F = (routes.hops_FPH[:, 0] >= 0).sum(axis=1) > 2
    if not crosses_F.any():
        return path_F
    hops_FPH = routes.hops_FPH[crosses_F]
    path_F[crosses_F] = -1
    if num_hops != 4 or (hops_FPH < 0).any():
        return path_F
    node_FPH = routes.fabric.target_E[hops_FPH]  # per path: source leaf, spine, target leaf, host
    leaves, spines = node_FPH[:, :, (0, 2)], node_FPH[:, :, 1]
    if (leaves != leaves[:, :1]).any() or len(np.unique(spines)) != num_paths:
        return path_F
    lefts, rights = node_FPH[:, 0, 0].tolist(), node_FPH[:, 0, 2].tolist()
    rounds = -(-most_edges_at_one_end(lefts, rights) // num_paths)
    colours = np.array(colour_edges(lefts, rights, rounds * num_paths)) % num_paths
    wanted_F = np.unique(spines)[colours]
    path_F[crosses_F] = (spines == wanted_F[:, None]).argmax(axis=1)
    return path_F


def few_paths(path_F: Ints, num_paths: int) -> Bools:
    """Each flow's own path and the three that follow it in turn, shape (F, P); enough for most repairs."""
    near_FP: Bools = (np.arange(num_paths) - path_F[:, None]) % num_paths < _FEW_PATHS
    return near_FP


class _LocalSearch:
    """Owns the load of each link while flows move."""

    def __init__(self, routes: Routes, path_F: Ints) -> None:
        capacity_E = routes.fabric.capacity_bytes_per_s_E
        self._routes, self._path_F = routes, path_F.copy()
        self._load_E = np.zeros(len(capacity_E) + 1)  # the last entry takes the padding (-1)
        inverse_E = np.divide(1.0, capacity_E, out=np.zeros(len(capacity_E)), where=capacity_E > 0)
        self._inverse_E = np.append(inverse_E, 0.0)  # padding costs nothing; dead links are masked with their paths
        for flow in np.nonzero(path_F >= 0)[0].tolist():
            self._add(flow, 1)

    def run(self) -> Ints:
        routable = np.nonzero(self._routes.is_routable)[0].tolist()
        for flow in (flow for flow in routable if self._path_F[flow] < 0):
            self._path_F[flow] = self._costs(flow).argmin()
            self._add(flow, 1)
        for _ in range(_MAX_ROUNDS):
            if not sum(self._improve(flow) for flow in routable):
                break
        return self._path_F

    def _improve(self, flow: int) -> bool:
        now = self._path_F[flow]
        self._add(flow, -1)
        cost_P = self._costs(flow)
        best = int(cost_P.argmin())
        is_better = bool(cost_P[best] < cost_P[now] * (1 - 1e-9))
        self._path_F[flow] = best if is_better else now
        self._add(flow, 1)
        return is_better

    def _costs(self, flow: int) -> Floats:
        """What the flow would add to the sum on each path; infinite for paths that are dead or not there."""
        hops_PH = self._routes.hops_FPH[flow]
        inverse_PH = self._inverse_E[hops_PH]
        before_PH = self._load_E[hops_PH] * inverse_PH
        after_PH = before_PH + self._routes.nic_bytes_per_s_F[flow] * inverse_PH
        cost_P: Floats = (after_PH**_STEEPNESS - before_PH**_STEEPNESS).sum(axis=1)
        return np.where(self._routes.live_FP[flow], cost_P, np.inf)

    def _add(self, flow: int, sign: int) -> None:
        self._load_E[self._routes.hops_FPH[flow, self._path_F[flow]]] += sign * self._routes.nic_bytes_per_s_F[flow]
        self._load_E[-1] = 0.0
