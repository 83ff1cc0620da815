"""Simple forecasts that a combination is made of, beside the naive ones: means and medians over what came before.

`live` is persistence of the last observation instead of the last step's mean: on a trace finer than the step it is a few
minutes fresher.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bedplate.compute.forecast.naive import naive_forecasts, seasonal
from bedplate.compute.forecast.series import Floats, Ints

_MOST_IN_WINDOW = 1008
"""Values of a window that a median is taken over; of longer windows evenly spaced ones."""


def simple_forecasts(values: Floats, latest: Floats, origins: Ints, lead: int, steps_per_day: int) -> dict[str, Floats]:
    """What each says at each origin; arguments as `naive_forecasts`, `latest` the live state at the end of each step."""
    days = np.stack([seasonal(values, origins, lead, steps_per_day, back) for back in range(7)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no day of history: NaN, which is what is meant
        mean_of_days = {f"mean of {count} days": np.nanmean(days[:count], axis=0) for count in (3, 7)}
    return {
        **naive_forecasts(values, origins, lead, steps_per_day),
        "live": latest[origins],
        **mean_of_days,
        "median of a day": window_quantile(values, origins, steps_per_day, 0.5),
        "median of a week": window_quantile(values, origins, 7 * steps_per_day, 0.5),
    }


def window_quantile(values: Floats, origins: Ints, length: int, level: float) -> Floats:
    """Quantile of the `length` values that end at each origin, fewer at the start."""
    apart = -(-length // _MOST_IN_WINDOW)
    padded = np.concatenate([np.full(length - 1, np.nan), values])
    windows = sliding_window_view(padded, length)[origins][:, ::-1][:, ::apart]
    found = np.empty(len(origins))
    is_short = origins < length - 1
    if not is_short.all():
        found[~is_short] = np.quantile(windows[~is_short], level, axis=1)
    if is_short.any():
        found[is_short] = np.nanquantile(windows[is_short], level, axis=1)
    return found
