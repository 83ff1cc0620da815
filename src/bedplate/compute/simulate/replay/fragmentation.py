"""How much of the free devices the jobs of a trace cannot use.

For each common request, as many copies as fit are put on each node as it is (CPU, memory, whole devices or shares, model);
what no copy takes is unusable for it. The mean over requests, by the device time that each asks for, is the fragmentation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Ints, States
from bedplate.compute.scheduler.placement.request import WHOLE, RequestClass

_COVERED = 0.95
_MOST = 24


class Fragmentation:
    """The common requests of a trace, and what they cannot use."""

    def __init__(self, needs: Sequence[tuple[RequestClass, float]]) -> None:
        """Keep the needs that cover most of the demand.

        Args:
            needs: What workers need, and the device time that is asked for in this form.
        """
        ordered = sorted(((weight, need) for need, weight in needs if weight > 0), reverse=True)
        total = sum(weight for weight, _ in ordered)
        self._needs: list[tuple[RequestClass, float]] = []
        self._covered = 0.0
        for weight, need in ordered[:_MOST]:
            if self._covered >= _COVERED * total:
                break
            self._needs.append((need, weight))
            self._covered += weight

    def unusable_frac(self, free: States, models: Sequence[str]) -> float:
        """Of the free device capacity, 0 to 1; 0 where nothing is free. O(requests * nodes * devices).

        Args:
            free: Of all nodes.
            models: Names of the models in `free.model`.
        """
        free_milli = float(free.shares.sum())
        if not free_milli or not self._needs:
            return 0.0
        usable = sum(weight * float(_usable_milli(free, need, models).sum()) for need, weight in self._needs)
        return 1.0 - usable / (self._covered * free_milli)


def _usable_milli(free: States, need: RequestClass, models: Sequence[str]) -> Ints:
    """Device capacity of each node that copies of `need` take, shape (N,)."""
    copies_N = np.zeros(len(free.cpu), np.int64)
    for bit, model in enumerate(models):
        if not need.models or model in need.models:
            copies_N += _copies(free.shares * (free.model == bit), need)
    if need.cpu_milli:
        copies_N = np.minimum(copies_N, free.cpu // need.cpu_milli)
    if need.memory_mib:
        copies_N = np.minimum(copies_N, free.memory // need.memory_mib)
    usable_N: Ints = copies_N * need.device_milli
    return usable_N


def _copies(shares_NG: Ints, need: RequestClass) -> Ints:
    if need.share_milli < WHOLE:
        shares_N: Ints = (shares_NG // need.share_milli).sum(axis=1)
        return shares_N
    copies_N: Ints = (shares_NG == WHOLE).sum(axis=1) // need.num_devices
    return copies_N
