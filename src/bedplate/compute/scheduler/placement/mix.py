"""Which requests arrive, and how often: what policies that look ahead know of the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats, Ints
from bedplate.compute.scheduler.placement.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mix:
    """Frequencies of request classes, learned from what arrived."""

    count_C: Floats
    """How often each class of the cluster arrived; all 0 where there is no history."""

    @property
    def frequency(self) -> Floats:
        """Share of arrivals of each class, shape (C,); sums to 1, or to 0 where nothing is known."""
        frequency: Floats = self.count_C / max(self.count_C.sum(), 1e-9)
        return frequency

    def extended(self, num_classes: int) -> Mix:
        """The same, where there are more classes by now."""
        return Mix(count_C=np.append(self.count_C, np.zeros(num_classes - len(self.count_C))))

    def device_share(self, cluster: Cluster) -> Floats:
        """Share of the arriving device demand of each class, shape (C,); sums to 1."""
        demand_C = self.count_C * cluster.requests.devices * cluster.requests.share
        share: Floats = demand_C / max(demand_C.sum(), 1.0)
        return share

    def most_popular(self, frac: float, rank_C: Sequence[tuple[int, ...]]) -> Ints:
        """Indices of the most frequent classes, until they cover `frac` of the arrivals.

        Args:
            frac: 0 to 1.
            rank_C: Order among classes of equal frequency; the greater first.
        """
        order = sorted(range(len(self.count_C)), key=lambda item: (self.count_C[item], rank_C[item]), reverse=True)
        covered = np.cumsum(self.count_C[order])
        return np.array(order[: int(np.searchsorted(covered, frac * self.count_C.sum() - 1e-9)) + 1], np.int64)


def mix_of(arrivals: Sequence[int] | Ints, num_classes: int) -> Mix:
    """The mix of a history, given as the class of each request."""
    return Mix(count_C=np.bincount(np.asarray(arrivals, np.int64), minlength=num_classes).astype(np.float64))
