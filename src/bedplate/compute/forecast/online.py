"""The forecast while values arrive: fitted again within its own calls, at a bounded cost, and aware of its record.

Pure of input and output: whoever owns it feeds it and asks. A forecast rests on complete steps only, and is computed once a
step. What it says of itself (`confidence`) comes from the forecasts that it would have made: members, weights, choice and
interval levels are those that each moment knew. When the skill over the naive forecasts is gone, `selection` ships a naive one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.forecast import boosting
from bedplate.compute.forecast.capacity import Quantiles
from bedplate.compute.forecast.measures import coverage, mean_error
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.selection import Shipped, ship
from bedplate.compute.forecast.series import DAY_S, DemandSeries, regular
from bedplate.compute.forecast.table import Fit, MemberTable, first_origin, table_of
from bedplate.core.errors import UnavailableError, UsageError

HISTORY_DAYS = 35
RECORD_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How far a forecaster trusts itself at one horizon."""

    model: str
    """What it ships now; one of the naive names where nothing beat them."""
    is_naive: bool
    coverage_80_frac: float | None
    """Share of the last days' values within their 80 % intervals; None before there are any."""
    skill_frac: float | None
    """1 - mean error / that of the best naive forecast over the same days."""


class OnlineForecaster:
    """Forecasts of one series that grows.

    Args:
        step_s: Length of a step; divides a day.
        horizons_s: How far ahead it can be asked, multiples of the step; in between it interpolates.
        refit_every_s: Least time, in the series' own time, between two fits of the boosted model of a horizon.
    """

    def __init__(self, *, step_s: float, horizons_s: Sequence[float], refit_every_s: float = 3 * DAY_S) -> None:
        if not horizons_s or any(item < step_s or abs(item / step_s - round(item / step_s)) > 1e-9 for item in horizons_s):
            raise UsageError("horizons must be multiples of the step", seen=list(horizons_s), expected=f"of {step_s:g} s")
        self._step_s, self._refit_every_s = step_s, refit_every_s
        self._leads = sorted({round(item / step_s) for item in horizons_s})
        self._times_s: list[float] = []
        self._values: list[float] = []
        self._fits: dict[int, list[tuple[float, boosting.BoostedQuantiles]]] = {lead: [] for lead in self._leads}
        self._made: dict[int, tuple[MemberTable, Shipped, DemandSeries]] = {}
        self._made_at_s = -np.inf

    def observe(self, at_s: float, value: float) -> None:
        """Take in one observation.

        Raises:
            UsageError: It is older than the last one, or not a finite number.
        """
        if not (np.isfinite(at_s) and np.isfinite(value)):
            raise UsageError("an observation must be finite", seen=(at_s, value), expected="a time and a number")
        if self._times_s and at_s < self._times_s[-1]:
            raise UsageError("observations must come in order", seen=at_s, expected=f"{self._times_s[-1]} or later")
        self._times_s.append(at_s)
        self._values.append(value)
        oldest_s = at_s - (HISTORY_DAYS + 1) * DAY_S
        if self._times_s[0] < oldest_s - DAY_S:
            keep = int(np.searchsorted(self._times_s, oldest_s))
            del self._times_s[:keep], self._values[:keep]

    def forecast(self, horizon_s: float) -> Quantiles:
        """Demand `horizon_s` after the end of the last complete step.

        Raises:
            UnavailableError: Too little history.
            UsageError: Beyond the longest horizon, or negative.
        """
        longest_s = self._leads[-1] * self._step_s
        if not 0 <= horizon_s <= longest_s:
            raise UsageError("the horizon is out of range", seen=horizon_s, expected=f"0 to {longest_s:g} s")
        points = self._points()
        ahead = [item.ahead_s for item in points]
        low, middle, high = (
            float(np.interp(horizon_s, ahead, [getattr(item, name) for item in points])) for name in ("low", "middle", "high")
        )
        return Quantiles(ahead_s=horizon_s, low=low, middle=middle, high=high)

    def confidence(self, horizon_s: float) -> Confidence:
        """Its record over the last days at one of its horizons; raises as `forecast`."""
        lead = round(horizon_s / self._step_s)
        if lead not in self._leads:
            raise UsageError("not one of its horizons", seen=horizon_s, expected=[item * self._step_s for item in self._leads])
        table, shipped, series = self._current(lead)
        window = slice(max(table.first, len(series) - lead - RECORD_DAYS * series.steps_per_day), max(0, len(series) - lead))
        targets = np.where(np.isnan(shipped.low[window]), np.nan, table.targets[window])
        errors = [mean_error(table.members[name][window], targets) for name in NAIVES]
        best = min((error for error in errors if np.isfinite(error)), default=0.0)
        covered = coverage(shipped.low[window], shipped.high[window], targets)
        model = shipped.choices[-1].model
        return Confidence(
            model=model,
            is_naive=model in NAIVES,
            coverage_80_frac=covered if np.isfinite(covered) else None,
            skill_frac=1 - mean_error(shipped.centre[window], targets) / best if best > 0 else None,
        )

    def _points(self) -> list[Quantiles]:
        """The present, and each horizon."""
        points: list[Quantiles] = []
        for lead in self._leads:
            _, shipped, series = self._current(lead)
            if not points:
                now = float(series.latest[~np.isnan(series.latest)][-1])
                points.append(Quantiles(ahead_s=0.0, low=now, middle=now, high=now))
            low, middle, high = (float(item[-1]) for item in (shipped.low, shipped.centre, shipped.high))
            points.append(Quantiles(ahead_s=lead * self._step_s, low=low, middle=middle, high=high))
        if any(np.isnan(item.low + item.high) for item in points):
            raise self._too_little()
        return points

    def _current(self, lead: int) -> tuple[MemberTable, Shipped, DemandSeries]:
        if not self._times_s:
            raise self._too_little()
        complete_s = self._times_s[-1] // self._step_s * self._step_s
        if complete_s != self._made_at_s:
            self._made.clear()
            self._made_at_s = complete_s
        if lead not in self._made:
            self._made[lead] = self._make(lead, complete_s)
        return self._made[lead]

    def _make(self, lead: int, complete_s: float) -> tuple[MemberTable, Shipped, DemandSeries]:
        count = int(np.searchsorted(self._times_s, complete_s))
        if count == 0:
            raise self._too_little()
        series = regular("online", np.array(self._times_s[:count]), np.array(self._values[:count]), self._step_s)
        if len(series) < 2 * lead + 16:
            raise self._too_little()
        fits = self._fits_of(series, lead)
        table = table_of(series, lead, fits, {})
        shipped = ship(table, series.steps_per_day, is_never_negative=bool(np.nanmin(series.values) >= 0))
        return table, shipped, series

    def _fits_of(self, series: DemandSeries, lead: int) -> list[Fit]:
        """Models so far, and a new one where the last is old enough; places are told from the start of the kept history."""
        fits, now_s = self._fits[lead], series.start_s + len(series) * self._step_s
        is_ready = len(series) > first_origin(len(series), lead, series.steps_per_day)
        if is_ready and (not fits or now_s - fits[-1][0] >= self._refit_every_s):
            fits.append((now_s, boosting.fit([series], len(series), lead)))
        while len(fits) > 1 and fits[1][0] <= series.start_s:
            fits.pop(0)
        return [
            Fit(origin=min(len(series) - 1, max(0, round((at_s - series.start_s) / self._step_s) - 1)), model=model)
            for at_s, model in fits
        ]

    def _too_little(self) -> UnavailableError:
        needed_s = (2 * self._leads[-1] + 16) * self._step_s
        return UnavailableError(
            "too little history to forecast",
            seen=f"{len(self._times_s)} observations",
            expected=f"about {needed_s:g} s of them",
        )
