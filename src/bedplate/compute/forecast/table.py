"""What every member says at every moment of a series, each knowing only what was known then: the rolling-origin back-test.

Members that are fitted are fitted again every few days, on what precedes; between fits the last one is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.forecast import boosting
from bedplate.compute.forecast.members import simple_forecasts
from bedplate.compute.forecast.series import DemandSeries, Floats, carried_forward
from bedplate.compute.forecast.statistical import theta_forecasts
from bedplate.core.reporter import NullReporter, Reporter

REFIT_DAYS = 3
BOOSTED, THETA = "lightgbm", "theta"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTable:
    """Members of one series at one lead."""

    lead: int
    first: int
    """The first origin at which every member speaks; the back-test begins here."""
    members: Mapping[str, Floats]
    """Forecast by origin, shape (num_steps,) each; NaN where a member has none."""
    boosted_low: Floats
    """The boosted 0.1 quantile by origin; NaN before `first`."""
    boosted_high: Floats
    targets: Floats
    """What came `lead` steps after each origin; NaN where that is a gap or still ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A boosted model and the first origin that it speaks for, in steps from the start of the series."""

    origin: int
    model: boosting.BoostedQuantiles


def tables(
    series: Sequence[DemandSeries], leads: Sequence[int], reporter: Reporter | None = None
) -> dict[tuple[int, int], MemberTable]:
    """The table of every series (by its place) and lead. Series of one grid share fits; others are fitted alone."""
    reporter = reporter or NullReporter()
    theta = [_theta(item, leads, reporter) for item in series]
    result = {}
    groups = _groups(series)
    for number, lead in enumerate(leads):
        reporter.progress(number, len(leads), "horizons")
        for group in groups:
            fits = _fits([series[at] for at in group], lead, reporter)
            for at in group:
                result[at, lead] = table_of(series[at], lead, fits, {THETA: theta[at][lead]})
    return result


def table_of(series: DemandSeries, lead: int, fits: Sequence[Fit], more: Mapping[str, Floats]) -> MemberTable:
    """The table of one series from models that were fitted before; `more` are further members."""
    values, latest = carried_forward(series.values), carried_forward(series.latest)
    num_steps = len(values)
    targets = np.full(num_steps, np.nan)
    targets[: max(0, num_steps - lead)] = series.values[lead:]
    boosted = np.full((3, num_steps), np.nan)
    for fit, end in zip(fits, [*(fit.origin for fit in fits[1:]), num_steps], strict=True):
        origins = np.arange(fit.origin, end)
        if len(origins):
            boosted[:, origins] = fit.model.forecast(series, origins)
    simple = simple_forecasts(values, latest, np.arange(num_steps), lead, series.steps_per_day)
    return MemberTable(
        lead=lead,
        first=first_origin(num_steps, lead, series.steps_per_day),
        members={**simple, BOOSTED: boosted[1], **more},
        boosted_low=boosted[0],
        boosted_high=boosted[2],
        targets=targets,
    )


def first_origin(num_steps: int, lead: int, steps_per_day: int) -> int:
    """Where a back-test can begin: after a week and the lead, or after a third of a shorter history."""
    return min(7 * steps_per_day + lead, max(1, num_steps // 3 + lead))


def _theta(series: DemandSeries, leads: Sequence[int], reporter: Reporter) -> dict[int, Floats]:
    reporter.check_cancelled()
    first = first_origin(len(series), min(leads), series.steps_per_day)
    return theta_forecasts(carried_forward(series.values), first, tuple(leads), series.steps_per_day)


def _groups(series: Sequence[DemandSeries]) -> list[list[int]]:
    by_grid: dict[tuple[float, int], list[int]] = {}
    for at, item in enumerate(series):
        by_grid.setdefault((item.start_s, len(item)), []).append(at)
    return list(by_grid.values())


def _fits(series: Sequence[DemandSeries], lead: int, reporter: Reporter) -> list[Fit]:
    num_steps, day = len(series[0]), series[0].steps_per_day
    first = first_origin(num_steps, lead, day)
    fits = []
    for origin in range(first, num_steps, max(REFIT_DAYS * day, (num_steps - first) // 12)):
        reporter.check_cancelled()
        fits.append(Fit(origin=origin, model=boosting.fit(series, origin + 1, lead)))
    return fits
