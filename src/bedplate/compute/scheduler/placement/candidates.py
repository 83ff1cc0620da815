"""Where a request fits, and the state that each choice leaves; compiled, since it runs for every node and decision.

Devices of a node that are of one model and have the same share free are one candidate: the first of them. So are all ways to
take whole devices of one model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Bools, Classes, Ints, States
from bedplate.compute.scheduler.placement.request import WHOLE


@njit(cache=True)  # type: ignore[untyped-decorator]
def find_candidates(free: States, classes: Classes, item: int, nodes: Ints) -> tuple[Ints, Ints, States]:
    """Every way to place class `item` on one of `nodes`, all of which are usable.

    Returns:
        Position in `nodes` of each candidate and its device, both of shape (M,), in the order of `nodes`; and the states
        afterwards. The device is -1 for none, and for whole devices where all of the node's are of one model.
    """
    width = free.shares.shape[1]
    most = len(nodes) * max(width, 1)
    owner, device = np.empty(most, np.int64), np.empty(most, np.int64)
    cpu, memory, devices = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    shares, model = np.empty((most, width), np.int64), np.empty((most, width), np.int64)
    count = 0
    share, num_wanted = classes.share[item], classes.devices[item]
    for at in range(len(nodes)):
        node = nodes[at]
        if classes.cpu[item] > free.cpu[node] or classes.memory[item] > free.memory[node]:
            continue
        for choice in range(free.devices[node] if num_wanted else 1):
            if num_wanted and not _is_choice(
                free.shares[node], free.model[node], choice, share, num_wanted, classes.models[item]
            ):
                continue
            owner[count], device[count] = at, choice if num_wanted else -1
            cpu[count] = free.cpu[node] - classes.cpu[item]
            memory[count] = free.memory[node] - classes.memory[item]
            devices[count] = free.devices[node]
            shares[count], model[count] = free.shares[node], free.model[node]
            if share == WHOLE:
                _take_whole(shares[count], model[count], choice, num_wanted)
                if _is_uniform(model[count], free.devices[node]):
                    device[count] = -1
            elif num_wanted:
                shares[count, choice] -= share
            count += 1
    states = States(cpu[:count], memory[:count], shares[:count], devices[:count], model[:count])
    return owner[:count], device[:count], states


@njit(cache=True)  # type: ignore[untyped-decorator]
def fits(free: States, classes: Classes, item: int, nodes: Ints) -> Bools:
    """Whether class `item` fits on each of `nodes`, all of which are usable; in their order."""
    result = np.zeros(len(nodes), np.bool_)
    share, num_wanted, models = classes.share[item], classes.devices[item], classes.models[item]
    for at in range(len(nodes)):
        node = nodes[at]
        if classes.cpu[item] > free.cpu[node] or classes.memory[item] > free.memory[node]:
            continue
        result[at] = num_wanted == 0
        for choice in range(free.devices[node]):
            if _is_choice(free.shares[node], free.model[node], choice, share, num_wanted, models):
                result[at] = True
                break
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def rows_of(free: States, nodes: Ints) -> States:
    """The states of `nodes`, copied."""
    return States(free.cpu[nodes], free.memory[nodes], free.shares[nodes], free.devices[nodes], free.model[nodes])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _is_choice(shares: Ints, model: Ints, choice: int, share: int, num_wanted: int, models: int) -> Any:
    """Whether the device has room, there are enough like it, and no earlier one offers the same."""
    if shares[choice] < share or not (models >> model[choice]) & 1:
        return False
    enough = 1
    for other in range(len(shares)):
        if other != choice and model[other] == model[choice] and shares[other] >= share:
            enough += 1
            if other < choice and shares[other] == shares[choice]:
                return False
    return enough >= num_wanted


@njit(cache=True)  # type: ignore[untyped-decorator]
def _take_whole(shares: Ints, model: Ints, first: int, count: int) -> None:
    for device in range(first, len(shares)):
        if count > 0 and shares[device] == WHOLE and model[device] == model[first]:
            shares[device] = 0
            count -= 1


@njit(cache=True)  # type: ignore[untyped-decorator]
def _is_uniform(model: Ints, num_devices: int) -> Any:
    return (model[:num_devices] == model[0]).all()
