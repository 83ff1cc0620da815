"""Intervals that cover what they claim: quantiles of past errors, with levels that follow their own misses.

The lower end is the base plus a quantile of how far the truth lay from that base lately (split conformal prediction, rolling).
Errors that overlap in time are hardly more than one, so the level is that of the errors which fit into the window side by
side: with ten, 0.9 becomes 0.99. Demand is not exchangeable, so the level itself moves: a little outward after each miss, a
little inward after each hit, at the rate at which both balance at the nominal share (adaptive conformal inference).

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
    moved, window = 0.0, np.empty(0)
    for origin in range(num_steps):
        seen = origin - lead
        if seen >= 0 and not np.isnan(ends[seen]) and not np.isnan(targets[seen]):
            is_below = targets[seen] < ends[seen] if level < 0.5 else targets[seen] <= ends[seen]
            moved = min(0.5, max(-0.5, moved + rate * (level - is_below)))
        if seen >= 0 and (origin % refreshed == 0 or len(window) < _FEWEST):
            window = errors[max(0, seen + 1 - WINDOW_DAYS * steps_per_day) : seen + 1]
            window = np.sort(window[~np.isnan(window)])
        if len(window) >= _FEWEST and not np.isnan(base[origin]):
            cautious = _cautious(level, len(window) / lead) + moved
            ends[origin] = base[origin] + window[round(min(1.0, max(0.0, cautious)) * (len(window) - 1))]
    return ends


def _cautious(level: float, num_independent: float) -> float:
    """The level that a sample of this size has to be read at, so that a new value lies beyond it as seldom as asked."""
    share = max(level, 1 - level) * (1 + 1 / max(1.0, num_independent))
    return share if level > 0.5 else 1 - share
