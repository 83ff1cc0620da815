"""The best worst-flow share that any paths allow: no balancing of any kind can do better, splitting flows included.

Cheap answers are tried before the full linear program: a cut (what must leave or enter a node, against the live links
there) from above; even spraying, and a program over a few paths of each flow, from below. Where they meet, as on every
intact leaf-spine fabric with one rate and nearly always after failures, that is the answer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bedplate.network.balance import spray
from bedplate.network.balance.base import worst_and_mean_frac
from bedplate.network.balance.one_path import few_paths, one_path_each
from bedplate.network.balance.shares import largest_floor
from bedplate.network.topology.fabric import Ints
from bedplate.network.topology.paths import Routes


@lru_cache(maxsize=4)  # a planner and its report use the same routes, which never change
def best_worst_share(routes: Routes) -> float:
    """Largest t such that every flow can be sent at t times its NIC's rate, split over its live paths at will.

    Flows without a live path are left out; 0 where that leaves none. Exact.

    Raises:
        UnavailableError: The linear program is needed, and scipy is not installed.
    """
    above = cut_bound(routes)
    below, _ = worst_and_mean_frac(routes, spray.balance(routes, seed=0, num_queue_pairs=None))
    if below >= above * (1 - 1e-9) or not routes.is_routable.any():
        return min(above, below)
    few_FP = few_paths(one_path_each(routes), routes.live_FP.shape[1])
    if largest_floor(routes, few_FP) >= above * (1 - 1e-9):
        return above
    return min(above, largest_floor(routes, routes.live_FP))


def cut_bound(routes: Routes) -> float:
    """An upper bound: live capacity at each node over the rate of the flows that all must cross there; at most 1."""
    fabric = routes.fabric
    return min(1.0, _tightest(routes, fabric.source_E), _tightest(routes, fabric.target_E))


def _tightest(routes: Routes, end_E: Ints) -> float:
    """Over nodes: capacity of the links that have the node as their `end`, over demand; all paths of a flow use one of them.

    Links to hosts and links between switches count separately: a flow bound for another switch cannot use a host's link.
    """
    fabric = routes.fabric
    group_E = end_E * 2 + fabric.joins_switches_E
    used_E = np.zeros(fabric.num_links, dtype=bool)
    demand = np.zeros(2 * len(fabric.nodes))
    for hop in range(routes.hops_FPH.shape[2]):
        link_FP = np.where(routes.live_FP, routes.hops_FPH[:, :, hop], -1)
        used_E[link_FP[link_FP >= 0]] = True
        group_FP = np.where(link_FP >= 0, group_E[link_FP], -1)
        first_F = np.where(routes.is_routable, group_FP[np.arange(len(group_FP)), routes.live_FP.argmax(axis=1)], -1)
        is_same_F = ((group_FP == first_F[:, None]) | ~routes.live_FP).all(axis=1) & (first_F >= 0)
        np.add.at(demand, first_F[is_same_F], routes.nic_bytes_per_s_F[is_same_F])
    capacity = np.bincount(group_E, fabric.capacity_bytes_per_s_E * used_E, minlength=len(demand))
    return float(np.divide(capacity, demand, out=np.full(len(demand), np.inf), where=demand > 0).min())
