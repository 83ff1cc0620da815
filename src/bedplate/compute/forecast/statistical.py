"""Exponential smoothing with a daily season, by statsforecast: the dynamic optimised theta method on hourly means.

A fit costs some 20 ms, so it is made anew every two hours and its path read in between. Finer steps than an hour gain
nothing: the season would have more phases than there are days to learn them from.

Source: Fiorucci et al. 2016, "Models for optimising the theta method".
"""

from __future__ import annotations

import warnings

import numpy as np

from bedplate.compute.forecast.series import DAY_S, Floats, Ints

_COARSE_S = 3600.0
_APART_S = 7200.0
_HISTORY_DAYS = 14


def theta_forecasts(values: Floats, first: int, leads: tuple[int, ...], steps_per_day: int) -> dict[int, Floats]:
    """The forecast of every origin from `first` on, for each lead; NaN before. Shape of each (num_steps,).

    Args:
        values: A series without gaps; it may start with NaN, as long as there was nothing.
        first: The first origin.
        leads: Steps ahead.
        steps_per_day: Steps of a day; of fewer than 4 no season can be fitted, and nothing is forecast.
    """
    found = {lead: np.full(len(values), np.nan) for lead in leads}
    block = max(1, round(_COARSE_S / DAY_S * steps_per_day))
    season = steps_per_day // block
    apart = max(block, round(_APART_S / DAY_S * steps_per_day))
    if season < 4:
        return found
    for origin in range(first, len(values), apart):
        origins = np.arange(origin, min(origin + apart, len(values)))
        path = _path(values[: origin + 1], block, season, (apart + max(leads)) // block + 1)
        for lead in leads:
            found[lead][origins] = path[_block_of(origins + lead, origin, block)]
    return found


def _path(known: Floats, block: int, season: int, num_blocks: int) -> Floats:
    """Means of the blocks of steps that follow."""
    from statsforecast.models import DynamicOptimizedTheta

    count = min(len(known) // block, _HISTORY_DAYS * season)
    means = known[len(known) - count * block :].reshape(count, block).mean(axis=1)
    means = means[np.isfinite(means)]  # of a series that starts later than others
    if len(means) < 2 * season + 2 or np.ptp(means) == 0:
        return np.full(num_blocks, means[-1] if len(means) else np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a series that cannot be decomposed; what it says then is judged like the rest
        path: Floats = DynamicOptimizedTheta(season_length=season).forecast(y=means, h=num_blocks)["mean"]
    return np.where(np.isfinite(path), path, means[-1])


def _block_of(steps: Ints, origin: int, block: int) -> Ints:
    return (steps - origin - 1) // block
