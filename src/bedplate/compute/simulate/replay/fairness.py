"""How fairly tenants were served: what each held beside what it was entitled to.

At a moment, a tenant is entitled to its share under dominant resource fairness: shares grow together, in proportion to weights,
until a tenant has all that it asks for or a resource is used up. So nobody is blamed for asking little, and what one does not
want others may have. Over time, its service is what it held / what it was entitled to, both as dominant shares.

Source: Ghodsi et al., NSDI 2011 (DRF); Jain, Chiu & Hawe 1984 (the index).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats

_HALVINGS = 50


def entitled_shares(demand_TR: Floats, weight_T: Floats) -> Floats:
    """Dominant share that each tenant is entitled to, shape (T,).

    Args:
        demand_TR: What each tenant holds or waits for, as fractions of the cluster's resources, shape (T, R).
        weight_T: Above 0.

    O(T * R) for each of fifty halvings.
    """
    dominant_T: Floats = demand_TR.max(axis=1)
    ratio_TR = demand_TR / np.where(dominant_T > 0, dominant_T, 1.0)[:, None]
    low, high = 0.0, float((dominant_T / weight_T).max(initial=0.0))
    if (demand_TR.sum(axis=0) <= 1.0).all():
        return dominant_T
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        used_R = (np.minimum(dominant_T, level * weight_T)[:, None] * ratio_TR).sum(axis=0)
        low, high = (level, high) if (used_R <= 1.0).all() else (low, level)
    entitled_T: Floats = np.minimum(dominant_T, low * weight_T)
    return entitled_T


class Service:
    """Held and entitled shares of each tenant, summed over samples."""

    def __init__(self, tenants: tuple[str, ...], weights: Mapping[str, float]) -> None:
        self._tenants = tenants
        self._weight_T = np.array([weights.get(tenant, 1.0) for tenant in tenants])
        self._held_T = np.zeros(len(tenants))
        self._entitled_T = np.zeros(len(tenants))
        self._seconds = 0.0

    def sample(self, held_TR: Floats, demand_TR: Floats, seconds: float) -> None:
        """What tenants hold, and what they hold or wait for, for so long; fractions of the cluster, shape (T, R)."""
        self._held_T += held_TR.max(axis=1) * seconds
        self._entitled_T += entitled_shares(demand_TR, self._weight_T) * seconds
        self._seconds += seconds

    def dominant_shares(self) -> dict[str, float]:
        """What each tenant held on average, as dominant share."""
        return dict(zip(self._tenants, (self._held_T / max(self._seconds, 1e-9)).tolist(), strict=True))

    def served_frac(self) -> dict[str, float]:
        """Held / entitled of each tenant that asked for something; above 1 where it got what others did not use in time."""
        wanted = np.flatnonzero(self._entitled_T > 0)
        return {self._tenants[at]: float(self._held_T[at] / self._entitled_T[at]) for at in wanted}


def jain_index(values: Floats) -> float:
    """1 where all are equal, 1 / number where one has everything; 1 of nothing."""
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / (len(values) * squares) if squares else 1.0
