"""What was computed for a state, kept for when it occurs again: the state that a placement leaves becomes a node's state, and
nodes that are filled alike go through the same states. Devices of one model may be exchanged.

Bounded: a state takes the place of another one now and then, which is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from bedplate.compute.scheduler.placement.arrays import Floats, Ints, States
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.node_states import mixed

_SLOTS = 2**16


class StateCache:
    """Values of states, `width` each; has one owner."""

    def __init__(self, compute: Callable[[States], Floats], width: int) -> None:
        """`compute` gives the values of states, shape (M, width); they depend on nothing else."""
        self._compute = compute
        self._key_S = np.full(_SLOTS, -1, np.int64)
        self._value_SV = np.zeros((_SLOTS, width))

    def values(self, states: States) -> Floats:
        """The values of `states`, shape (M, width)."""
        key_M = _digests(states)
        slot_M = key_M % _SLOTS
        missing = np.flatnonzero(self._key_S[slot_M] != key_M)
        value_MV: Floats = self._value_SV[slot_M]
        if len(missing):
            value_MV[missing] = self._compute(rows_of(states, missing) if len(missing) < len(key_M) else states)
            self._value_SV[slot_M[missing]] = value_MV[missing]
            self._key_S[slot_M[missing]] = key_M[missing]
        return value_MV


@njit(cache=True)  # type: ignore[untyped-decorator]
def _digests(states: States) -> Ints:
    """Digest of each state, shape (M,); the same where devices of one model are exchanged; not negative."""
    result = np.empty(len(states.cpu), np.int64)
    for at in range(len(states.cpu)):
        devices: Any = np.uint64(0)
        for device in range(states.devices[at]):
            devices += mixed(np.uint64(1), states.shares[at, device] << 8 | states.model[at, device])
        digest = mixed(mixed(devices, states.cpu[at]), states.memory[at])
        result[at] = np.int64(digest >> np.uint64(1))
    return result
