"""Where a request fits, and the state that each choice leaves; compiled, since it runs for every node and decision.

Devices of a node that have the same share free are one candidate: the first of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.cluster import WHOLE, Classes, Ints, States


@njit(cache=True)  # type: ignore[untyped-decorator]
def find_candidates(free: States, classes: Classes, item: int, nodes: Ints) -> tuple[Ints, Ints, States]:
    """Every way to place class `item` on one of `nodes`.

    Returns:
        Position in `nodes` of each candidate and its device (-1 for whole devices and for none), both of shape (M,), in
        the order of `nodes`; and the states afterwards.
    """
    width = free.shares.shape[1]
    most = len(nodes) * max(width, 1)
    owner, device = np.empty(most, np.int64), np.empty(most, np.int64)
    cpu, memory = np.empty(most, np.int64), np.empty(most, np.int64)
    devices, model = np.empty(most, np.int64), np.empty(most, np.int64)
    shares = np.empty((most, width), np.int64)
    count = 0
    for at in range(len(nodes)):
        node = nodes[at]
        if not _fits(free, classes, item, node):
            continue
        is_share = 0 < classes.share[item] < WHOLE
        for choice in range(free.devices[node] if is_share else 1):
            if is_share and not _is_new_choice(free.shares[node], choice, classes.share[item]):
                continue
            owner[count], device[count] = at, choice if is_share else -1
            cpu[count] = free.cpu[node] - classes.cpu[item]
            memory[count] = free.memory[node] - classes.memory[item]
            devices[count], model[count] = free.devices[node], free.model[node]
            shares[count] = free.shares[node]
            if is_share:
                shares[count, choice] -= classes.share[item]
            else:
                _take_whole(shares[count], classes.devices[item])
            count += 1
    states = States(cpu[:count], memory[:count], shares[:count], devices[:count], model[:count])
    return owner[:count], device[:count], states


@njit(cache=True)  # type: ignore[untyped-decorator]
def rows_of(free: States, nodes: Ints) -> States:
    """The states of `nodes`, copied."""
    return States(free.cpu[nodes], free.memory[nodes], free.shares[nodes], free.devices[nodes], free.model[nodes])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fits(free: States, classes: Classes, item: int, node: int) -> Any:
    if classes.cpu[item] > free.cpu[node] or classes.memory[item] > free.memory[node]:
        return False
    if classes.devices[item] == 0:
        return True
    if not (classes.models[item] >> free.model[node]) & 1:
        return False
    enough = 0
    for device in range(free.devices[node]):
        if free.shares[node, device] >= classes.share[item]:
            enough += 1
    return enough >= classes.devices[item]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _is_new_choice(shares: Ints, choice: int, share: int) -> Any:
    if shares[choice] < share:
        return False
    is_new = True
    for earlier in range(choice):
        is_new = is_new and shares[earlier] != shares[choice]
    return is_new


@njit(cache=True)  # type: ignore[untyped-decorator]
def _take_whole(shares: Ints, count: int) -> None:
    for device in range(len(shares)):
        if count > 0 and shares[device] == WHOLE:
            shares[device] = 0
            count -= 1
