"""Does what arrives still look like the mix that was learned?

Arrivals are counted by class, and at every doubling of their number compared with the mix by a chi-squared test; where they
differ beyond chance, what arrived becomes the mix, with the old one as a little prior knowledge.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.mix import Mix

FIRST_LOOK = 256
"""Arrivals before the first test."""
P_VALUE = 1e-4
PRIOR = 64.0
"""Arrivals that the old mix counts for in the new one."""
_LEAST_EXPECTED = 5.0
"""Classes that are expected less often are tested together, as the test requires."""


class MixWatch:
    """Counts arrivals; a class that the mix did not know counts as any other. A mix without history is refuted at once."""

    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        self._seen_C = np.zeros(len(mix.count_C))
        self._next_look = FIRST_LOOK

    def observe(self, item: int) -> Mix | None:
        """Count an arrival of class `item`; a new mix where the old one is refuted."""
        if item >= len(self._seen_C):
            self._mix = self._mix.extended(item + 1)
            self._seen_C = np.append(self._seen_C, np.zeros(item + 1 - len(self._seen_C)))
        self._seen_C[item] += 1
        if self._seen_C.sum() < self._next_look:
            return None
        self._next_look *= 2
        if not differs(self._seen_C, self._mix):
            return None
        self._mix = Mix(count_C=self._seen_C + PRIOR * self._mix.frequency)
        self._seen_C = np.zeros(len(self._seen_C))
        self._next_look = 2 * FIRST_LOOK
        return self._mix


def differs(seen_C: Floats, mix: Mix) -> bool:
    """Whether counts `seen_C` are improbable (`P_VALUE`) under `mix`."""
    from scipy.stats import chi2

    if not mix.count_C.any():
        return True
    expected_C = seen_C.sum() * mix.frequency
    often_C = expected_C >= _LEAST_EXPECTED
    expected = np.append(expected_C[often_C], max(expected_C[~often_C].sum(), _LEAST_EXPECTED / 10))
    seen = np.append(seen_C[often_C], seen_C[~often_C].sum())
    if len(expected) < 2:
        return False
    statistic = float(((seen - expected) ** 2 / expected).sum())
    return statistic > float(chi2.isf(P_VALUE, len(expected) - 1))
