"""One forecast from many: a mean weighted by how well each did lately.

A member's weight falls exponentially with its recent mean error relative to the best one's. A low `sharpness` is close to the
plain mean, which is hard to beat over a day; a high one is close to the best member, which is persistence over minutes. The
members' own mean and median take part.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from bedplate.compute.forecast.series import Floats

HALF_LIFE_DAYS = 8
SHARPNESS = (4.0, 20.0, 100.0)


def combine(members: Mapping[str, Floats], targets: Floats, lead: int, steps_per_day: int) -> dict[str, Floats]:
    """A combination for each of `SHARPNESS`, by origin; each weight rests on targets that the origin had seen."""
    forecasts = np.stack(list(members.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no member speaks yet: NaN
        forecasts = np.concatenate([forecasts, [np.nanmean(forecasts, axis=0), np.nanmedian(forecasts, axis=0)]])
    errors = recent_errors(np.abs(forecasts - targets), lead, steps_per_day)
    combined = {}
    for sharpness in SHARPNESS:
        excess = errors / np.maximum(np.nanmin(errors, axis=0, initial=np.inf), 1e-12) - 1
        weights = np.where(np.isnan(forecasts) | np.isnan(excess), 0.0, np.exp(-sharpness * np.minimum(excess, 1e3)))
        total = weights.sum(axis=0)
        mean = np.sum(weights * np.nan_to_num(forecasts), axis=0) / np.where(total > 0, total, 1.0)
        combined[f"combination, sharpness {sharpness:g}"] = np.where(total > 0, mean, forecasts[0])
    return combined


def recent_errors(errors: Floats, lead: int, steps_per_day: int) -> Floats:
    """Discounted mean of the errors that were known at each origin, shape as `errors`: (num_members, num_steps)."""
    from scipy.signal import lfilter

    kept = 0.5 ** (1 / (HALF_LIFE_DAYS * steps_per_day))
    is_known = ~np.isnan(errors)
    sums = lfilter([1.0], [1.0, -kept], np.where(is_known, errors, 0.0), axis=1)
    counts = lfilter([1.0], [1.0, -kept], is_known.astype(float), axis=1)
    mean = np.where(counts > 1e-9, sums / np.maximum(counts, 1e-9), np.nan)
    known: Floats = np.full(errors.shape, np.nan)
    known[:, lead:] = mean[:, : errors.shape[1] - lead]
    return known
