"""The forecasts that an online forecaster makes of a recorded load, made at once: hundreds of times quicker than one by one.

Every member speaks at every moment with what was known then (`forecast/table.py`), so what is said at one moment is the same
as if the record ended there, but for when boosted models are fitted.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.capacity.following import Following
from bedplate.compute.forecast.capacity import Quantiles
from bedplate.compute.forecast.measures import coverage, mean_error
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.online import RECORD_DAYS, Confidence
from bedplate.compute.forecast.selection import Shipped, ship
from bedplate.compute.forecast.series import DemandSeries
from bedplate.compute.forecast.table import MemberTable, tables
from bedplate.core.errors import UnavailableError
from bedplate.core.reporter import Reporter


class RollingForecasts:
    """All forecasts of one series.

    Args:
        series: The whole load, of which a moment knows what precedes it.
        following: How far ahead forecasts are needed.
        start_s: What the clock of who asks says at the start of the series.
        reporter: Told of the fitting.
    """

    def __init__(self, series: DemandSeries, following: Following, start_s: float, reporter: Reporter | None = None) -> None:
        self._series, self._start_s = series, start_s
        leads = sorted({round(horizon_s / series.step_s) for horizon_s in following.horizons_s})
        made = tables([series], leads, reporter)
        is_never_negative = bool(np.nanmin(series.values) >= 0)
        self._made: dict[int, tuple[MemberTable, Shipped]] = {
            lead: (made[0, lead], ship(made[0, lead], series.steps_per_day, is_never_negative=is_never_negative))
            for lead in leads
        }
        self._at = -1

    def observe(self, at_s: float, value: float) -> None:
        """The step that ended then is the last one that is known."""
        self._at = round((at_s - self._start_s) / self._series.step_s) - 1

    def forecast(self, horizon_s: float) -> Quantiles:
        """See `OnlineForecaster`; one of its horizons."""
        _, shipped = self._made[round(horizon_s / self._series.step_s)]
        low, middle, high = (float(item[self._at]) for item in (shipped.low, shipped.centre, shipped.high))
        if np.isnan(low + high):
            raise UnavailableError("too little history to forecast", seen=f"{self._at + 1} steps", expected="some days of them")
        return Quantiles(ahead_s=horizon_s, low=low, middle=middle, high=high)

    def confidence(self, horizon_s: float) -> Confidence:
        """See `OnlineForecaster`."""
        lead = round(horizon_s / self._series.step_s)
        table, shipped = self._made[lead]
        last = max(0, self._at + 1 - lead)
        window = slice(max(table.first, last - RECORD_DAYS * self._series.steps_per_day), last)
        targets = np.where(np.isnan(shipped.low[window]), np.nan, table.targets[window])
        errors = [mean_error(table.members[name][window], targets) for name in NAIVES]
        best = min((error for error in errors if np.isfinite(error)), default=0.0)
        covered = coverage(shipped.low[window], shipped.high[window], targets)
        model = next((choice.model for choice in reversed(shipped.choices) if choice.origin <= self._at), NAIVES[0])
        return Confidence(
            model=model,
            is_naive=model in NAIVES,
            coverage_80_frac=covered if np.isfinite(covered) else None,
            skill_frac=1 - mean_error(shipped.centre[window], targets) / best if best > 0 else None,
        )
