"""Intervals that cover what they claim: quantiles of past errors, with levels that follow their own misses.

The lower end is the base plus a quantile of how far the truth lay from that base lately (split conformal prediction, rolling).
Demand is not exchangeable, so the level itself moves: a little outward after each miss, a little inward after each hit, at the
rate at which both balance at the nominal share (adaptive conformal inference).

Source: Gibbs & Candès 2021, "Adaptive conformal inference under distribution shift".
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.forecast.series import Floats

TAIL = 0.1
"""Share that may lie beyond each end: 80 % intervals."""
WINDOW_DAYS = 14
_FEWEST = 8
_STEP_PER_DAY = 1.0
"""How far a level moves, in a day on which everything misses."""


def calibrated_end(base: Floats, targets: Floats, lead: int, steps_per_day: int, level: float) -> Floats:
    """The end of an interval by origin; NaN until a few targets are known.

    Args:
        base: What errors are counted from, by origin: a forecast of the centre, or of this end.
        targets: What came, by origin; NaN where unknown.
        lead: Steps ahead.
        steps_per_day: Steps of a day.
        level: Share of the targets that should lie below the end: 0.1 or 0.9.
    """
    num_steps, errors = len(base), targets - base
    ends = np.full(num_steps, np.nan)
    refreshed = max(1, steps_per_day // 48)
    rate = _STEP_PER_DAY / steps_per_day
    current, window = level, np.empty(0)
    for origin in range(num_steps):
        seen = origin - lead
        if seen >= 0 and not np.isnan(ends[seen]) and not np.isnan(targets[seen]):
            is_below = targets[seen] < ends[seen] if level < 0.5 else targets[seen] <= ends[seen]
            current = min(1.0, max(0.0, current + rate * (level - is_below)))
        if seen >= 0 and (origin % refreshed == 0 or len(window) < _FEWEST):
            window = errors[max(0, seen + 1 - WINDOW_DAYS * steps_per_day) : seen + 1]
            window = np.sort(window[~np.isnan(window)])
        if len(window) >= _FEWEST and not np.isnan(base[origin]):
            ends[origin] = base[origin] + window[round(current * (len(window) - 1))]
    return ends
