"""How many workers a node has room for: what gangs, reservations and preemption compute with. Compiled; O(nodes * devices)."""

from __future__ import annotations

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Classes, Ints, States
from bedplate.compute.scheduler.placement.request import WHOLE

_MOST = 1 << 30
"""Workers that need nothing."""


@njit(cache=True)  # type: ignore[untyped-decorator]
def room(free: States, classes: Classes, item: int, nodes: Ints) -> Ints:
    """Number of workers of class `item` that fit on each of `nodes`; the class accepts one model, or has no devices."""
    cpu, memory = classes.cpu[item], classes.memory[item]
    count, share, models = classes.devices[item], classes.share[item], classes.models[item]
    cpu_N, memory_N, shares_NG, devices_N, model_NG = free.cpu, free.memory, free.shares, free.devices, free.model
    room_M = np.zeros(len(nodes), np.int64)
    for at in range(len(nodes)):
        node = nodes[at]
        if cpu_N[node] < cpu or memory_N[node] < memory:
            continue
        most = _MOST
        if count:
            fitting = 0
            for device in range(devices_N[node]):
                have = shares_NG[node, device]
                if have >= share and (models >> model_NG[node, device]) & 1:
                    fitting += have // share if share < WHOLE else 1
            most = fitting // count
        if most and cpu:
            most = min(most, cpu_N[node] // cpu)
        if most and memory:
            most = min(most, memory_N[node] // memory)
        room_M[at] = most
    return room_M
