"""How good a forecast was: MASE, pinball loss and coverage, plainly defined.

MASE: mean absolute error over the test, divided by the *in-sample day-naive error*: the mean |value - value a day before| over
the training part (over one step where training is shorter than two days, or where the former is 0). Ours and the naive
forecasts are divided by the same number. Pinball: mean over the quantiles 0.1, 0.5 and 0.9 and over the test, divided by the
same number; for one that only says a value it would be half its MASE. Coverage: share of targets within the 0.1 and 0.9
quantiles, ends included.

Source: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bedplate.compute.forecast.series import Floats

_ROUNDING = 1e-9
"""Changes of this part of a series' size are what arithmetic leaves of none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What errors are divided by."""

    kind: str
    """`day-naive` or `one-step`."""
    value: float
    """In the unit of the series; 0 where the training part is constant."""

    def of(self, error: float) -> float | None:
        """`error` in this scale; None where nothing is to be divided by, unless the error is 0 too."""
        if not np.isfinite(error):
            return None
        return error / self.value if self.value > 0 else 0.0 if error == 0 else None


def in_sample_scale(train: Floats, steps_per_day: int) -> Scale:
    """The scale of a training part, which may have gaps."""
    for kind, lag in (("day-naive", steps_per_day), ("one-step", 1)):
        if len(train) >= (2 * lag if kind == "day-naive" else 2):
            apart = np.abs(train[lag:] - train[:-lag])
            if (known := apart[~np.isnan(apart)]).size and known.mean() > _ROUNDING * np.nanmax(np.abs(train)):
                return Scale(kind=kind, value=float(known.mean()))
    return Scale(kind="one-step", value=0.0)


def mean_error(forecast: Floats, target: Floats) -> float:
    """Mean absolute error where the target is known; NaN where a forecast is missing."""
    known = ~np.isnan(target)
    return float(np.mean(np.abs(forecast - target)[known])) if known.any() else float("nan")


def pinball(forecast: Floats, target: Floats, level: float) -> float:
    """Mean pinball loss of one quantile where the target is known."""
    known = ~np.isnan(target)
    under = (target - forecast)[known]
    return float(np.mean(np.maximum(level * under, (level - 1) * under))) if known.any() else float("nan")


def coverage(low: Floats, high: Floats, target: Floats) -> float:
    """Share of the known targets within the ends."""
    known = ~np.isnan(target)
    return float(np.mean(((target >= low) & (target <= high))[known])) if known.any() else float("nan")
