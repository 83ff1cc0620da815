"""How much of the free devices the jobs of a trace cannot use.

For each common request, as many copies as fit are put on each node as it is (CPU, memory, whole devices or shares, model);
what no copy takes is unusable for it. The mean over requests, by the device time that each asks for, is the fragmentation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bedplate.compute.scheduler.placement.cluster import WHOLE, Floats, Ints, States
from bedplate.compute.scheduler.placement.cluster import RequestClass

_COVERED = 0.95
_MOST = 24


class Fragmentation:
    """The common requests of a trace, and what they cannot use."""

    def __init__(self, needs: Sequence[tuple[RequestClass, float]], models: Sequence[str]) -> None:
        """Keep the needs that cover most of the demand.

        Args:
            needs: What workers need, and the device time that is asked for in this form.
            models: Names of the models in `States.model`.
        """
        ordered = sorted(((weight, need) for need, weight in needs if weight > 0), reverse=True)
        total = sum(weight for weight, _ in ordered)
        self._needs: list[tuple[RequestClass, float, Ints]] = []
        covered = 0.0
        for weight, need in ordered[:_MOST]:
            if covered >= _COVERED * total:
                break
            accepted = [at for at, model in enumerate(models) if not need.models or model in need.models]
            self._needs.append((need, weight, np.array(accepted, np.int64)))
            covered += weight
        self._total = covered

    def unusable_frac(self, free: States) -> float:
        """Of the free device capacity, 0 to 1; 0 where nothing is free. O(requests * nodes * devices)."""
        free_N = free.shares.sum(axis=1)
        free_milli = float(free_N.sum())
        if not free_milli or not self._needs:
            return 0.0
        usable = sum(weight * float(_usable(free, need, models).sum()) for need, weight, models in self._needs)
        return 1.0 - usable / (self._total * free_milli)


def _usable(free: States, need: RequestClass, models: Ints) -> Floats:
    """Device capacity of each node that copies of `need` take, thousandths, shape (N,)."""
    copies_N: Ints = (
        (free.shares == WHOLE).sum(axis=1) // need.num_devices
        if need.share_milli == WHOLE
        else (free.shares // need.share_milli).sum(axis=1)
    )
    if need.cpu_milli:
        copies_N = np.minimum(copies_N, free.cpu // need.cpu_milli)
    if need.memory_mib:
        copies_N = np.minimum(copies_N, free.memory // need.memory_mib)
    return np.where(np.isin(free.model, models), copies_N, 0) * float(need.device_milli)
