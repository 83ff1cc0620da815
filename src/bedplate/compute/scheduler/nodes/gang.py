"""Which nodes the workers of one job go to, given how many each has room for.

Few leaves are preferred, then few nodes, then what fits most tightly: a job gets the smallest leaf that takes all of it; in
it the nodes with the most room first, and for the rest the node with the least room that suffices.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.placement.arrays import Floats, Ints


def most_workers(room_N: Ints, leaf_N: Ints, topology: Topology) -> int:
    """The most workers of one job that there is room for."""
    if not len(room_N):
        return 0
    if topology is Topology.SAME_NODE:
        return int(room_N.max())
    if topology is Topology.SAME_LEAF:
        return int(np.bincount(leaf_N, room_N).max())
    return int(room_N.sum())


def spread(room_N: Ints, leaf_N: Ints, topology: Topology, count: int, cost_N: Floats) -> list[tuple[int, int]] | None:
    """Nodes, and how many workers go to each.

    Args:
        room_N: Workers that each node has room for.
        leaf_N: Index of its leaf.
        topology: How near the workers must be.
        count: Number of workers.
        cost_N: Cheaper nodes first, whatever their room; of equal cost as the header says.

    Returns:
        None if there is no room for them.
    """
    nodes = np.flatnonzero(room_N > 0)
    if most_workers(room_N[nodes], leaf_N[nodes], topology) < count:
        return None
    if topology is Topology.SAME_NODE:
        fitting = nodes[room_N[nodes] >= count]
        at = np.lexsort((fitting, room_N[fitting], cost_N[fitting]))[0]
        return [(int(fitting[at]), count)]
    room_L = np.bincount(leaf_N[nodes], room_N[nodes])
    fitting_L = np.flatnonzero(room_L >= count)
    if len(fitting_L):
        cost_L = np.bincount(leaf_N[nodes], cost_N[nodes] * room_N[nodes], minlength=len(room_L))[fitting_L] / room_L[fitting_L]
        leaves = [int(fitting_L[np.lexsort((fitting_L, room_L[fitting_L], cost_L))[0]])]
    else:
        leaves = np.argsort(-room_L, kind="stable").tolist()
    placed: list[tuple[int, int]] = []
    for leaf in leaves:
        count = _fill(placed, nodes[leaf_N[nodes] == leaf], room_N, count, cost_N)
        if not count:
            break
    return placed


def _fill(placed: list[tuple[int, int]], nodes: Ints, room_N: Ints, count: int, cost_N: Floats) -> int:
    """Place up to `count` workers on nodes of one leaf; how many are left."""
    for node in nodes[np.lexsort((nodes, -room_N[nodes], cost_N[nodes]))].tolist():
        if not count:
            break
        room = int(room_N[node])
        if room > count:
            used = {at for at, _ in placed}
            cheap = nodes[cost_N[nodes] <= cost_N[node]].tolist()
            enough = [at for at in cheap if count <= room_N[at] <= room and at not in used]
            node = min(enough, key=lambda at: (room_N[at], at), default=node)
        placed.append((node, min(count, int(room_N[node]))))
        count -= placed[-1][1]
    return count
