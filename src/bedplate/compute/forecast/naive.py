"""The forecasts that every other has to beat: the last value, the value a day ago, the value a week ago."""

from __future__ import annotations

import numpy as np

from bedplate.compute.forecast.series import Floats, Ints

NAIVES = ("persistence", "day", "week")


def naive_forecasts(values: Floats, origins: Ints, lead: int, steps_per_day: int) -> dict[str, Floats]:
    """What the naive ones say at each origin about the value `lead` steps later; NaN where history is too short.

    Args:
        values: A series without gaps, shape (num_steps,).
        origins: Steps whose end is the present; the value of the step itself is known.
        lead: Steps ahead, 1 or more.
        steps_per_day: Steps of a day; a daily series has 1, so its day-naive forecast is persistence.
    """
    return {
        "persistence": values[origins],
        "day": seasonal(values, origins, lead, steps_per_day),
        "week": seasonal(values, origins, lead, 7 * steps_per_day),
    }


def seasonal(values: Floats, origins: Ints, lead: int, period: int, periods_back: int = 0) -> Floats:
    """The value at the same phase of the last period that is known, or of one `periods_back` before it."""
    at = origins + lead - (-(-lead // period) + periods_back) * period
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)
