"""How many workers a node has room for: what gangs, reservations and preemption compute with. Compiled; O(nodes * devices)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Classes, Ints, States
from bedplate.compute.scheduler.placement.request import WHOLE


@njit(cache=True)  # type: ignore[untyped-decorator]
def room(free: States, classes: Classes, item: int, nodes: Ints) -> Ints:
    """Number of workers of class `item` that fit on each of `nodes`; the class accepts one model, or has no devices."""
    count = np.zeros(len(nodes), np.int64)
    for at in range(len(nodes)):
        count[at] = room_of_node(free, classes, item, nodes[at])
    return count


@njit(cache=True)  # type: ignore[untyped-decorator]
def room_of_node(free: States, classes: Classes, item: int, node: int) -> Any:
    """The same for one node."""
    cpu, memory = classes.cpu[item], classes.memory[item]
    if free.cpu[node] < cpu or free.memory[node] < memory:
        return 0
    most = 1 << 30
    if classes.devices[item]:
        share, fitting = classes.share[item], 0
        for device in range(free.devices[node]):
            if (classes.models[item] >> free.model[node, device]) & 1:
                fitting += free.shares[node, device] // share if share < WHOLE else free.shares[node, device] == WHOLE
        most = fitting // classes.devices[item]
    if cpu:
        most = min(most, free.cpu[node] // cpu)
    if memory:
        most = min(most, free.memory[node] // memory)
    return most


@njit(cache=True)  # type: ignore[untyped-decorator]
def first_with_room(free: States, classes: Classes, item: int, nodes: Ints) -> int:
    """Position of the first of `nodes` where class `item` fits; -1 if there is none."""
    for at in range(len(nodes)):
        if room_of_node(free, classes, item, nodes[at]) > 0:
            return at
    return -1
