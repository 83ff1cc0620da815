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


def tables(
    series: Sequence[DemandSeries], leads: Sequence[int], reporter: Reporter | None = None
) -> dict[tuple[int, int], MemberTable]:
    """The table of every series (by its place) and lead. Series of one length share fits; others are fitted alone."""
    reporter = reporter or NullReporter()
    result = {}
    for group in _groups(series):
        together = [series[at] for at in group]
        for number, lead in enumerate(leads):
            reporter.progress(number, len(leads), "horizons")
            reporter.check_cancelled()
            boosted = _boosted(together, lead, reporter)
            for place, at in enumerate(group):
                result[at, lead] = _table(series[at], lead, boosted[place])
    for at, item in enumerate(series):
        known = [lead for lead in leads if (at, lead) in result]
        first = min(result[at, lead].first for lead in known)
        theta = theta_forecasts(carried_forward(item.values), first, tuple(known), item.steps_per_day)
        for lead in known:
            result[at, lead] = _with(result[at, lead], THETA, theta[lead])
    return result


def first_origin(num_steps: int, lead: int, steps_per_day: int) -> int:
    """Where a back-test can begin: after a week and the lead, or after a third of a shorter history."""
    return min(7 * steps_per_day + lead, max(1, num_steps // 3 + lead))


def _groups(series: Sequence[DemandSeries]) -> list[list[int]]:
    by_grid: dict[tuple[float, int], list[int]] = {}
    for at, item in enumerate(series):
        by_grid.setdefault((item.start_s, len(item)), []).append(at)
    return list(by_grid.values())


def _boosted(series: Sequence[DemandSeries], lead: int, reporter: Reporter) -> list[Floats]:
    """Boosted quantiles of each series, shape (3, num_steps)."""
    num_steps, day = len(series[0]), series[0].steps_per_day
    found = [np.full((3, num_steps), np.nan) for _ in series]
    first = first_origin(num_steps, lead, day)
    apart = max(REFIT_DAYS * day, (num_steps - first) // 12)
    for origin in range(first, num_steps, apart):
        reporter.check_cancelled()
        fitted = boosting.fit(series, origin + 1, lead)
        origins = np.arange(origin, min(origin + apart, num_steps))
        for item, quantiles in zip(series, found, strict=True):
            quantiles[:, origins] = fitted.forecast(item, origins)
    return found


def _table(series: DemandSeries, lead: int, boosted: Floats) -> MemberTable:
    values, latest = carried_forward(series.values), carried_forward(series.latest)
    origins = np.arange(len(values))
    targets = np.full(len(values), np.nan)
    targets[: len(values) - lead] = series.values[lead:]
    return MemberTable(
        lead=lead,
        first=first_origin(len(values), lead, series.steps_per_day),
        members=simple_forecasts(values, latest, origins, lead, series.steps_per_day) | {BOOSTED: boosted[1]},
        boosted_low=boosted[0],
        boosted_high=boosted[2],
        targets=targets,
    )


def _with(table: MemberTable, name: str, forecasts: Floats) -> MemberTable:
    return MemberTable(
        lead=table.lead,
        first=table.first,
        members={**table.members, name: forecasts},
        boosted_low=table.boosted_low,
        boosted_high=table.boosted_high,
        targets=table.targets,
    )
