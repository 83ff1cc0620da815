"""Which forecast is shipped: the best one that beat every naive forecast in the back-test, else the best naive one.

Chosen anew every day from the last two weeks that were known then. A candidate must have the lower mean error and be better
than the best naive one on at least half of the days, so that one lucky day decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bedplate.compute.forecast.combination import combine
from bedplate.compute.forecast.intervals import TAIL, calibrated_end
from bedplate.compute.forecast.measures import pinball
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.series import Floats
from bedplate.compute.forecast.table import BOOSTED, THETA, MemberTable

WINDOW_DAYS = 14
LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen at an origin, and why."""

    origin: int
    model: str
    naive: str
    """The best naive forecast of the back-test."""
    skill_frac: float | None
    """1 - error / error of the best naive one, in the back-test; None where nothing was known yet."""
    spread: str
    """Where the interval comes from: `errors` of the centre, or `lightgbm` quantiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """The forecast by origin."""

    centre: Floats
    low: Floats
    high: Floats
    choices: tuple[Choice, ...]


def ship(table: MemberTable, steps_per_day: int, *, is_never_negative: bool) -> Shipped:
    """The forecast of every origin from the table's first on; each uses only what was known then."""
    combined = combine(table.members, table.targets, table.lead, steps_per_day)
    offered = {name: table.members[name] for name in (LIVE, BOOSTED, THETA)} | combined
    naive = {name: table.members[name] for name in NAIVES}
    ends = _Ends(table, steps_per_day)
    num_steps = len(table.targets)
    centre, low, high = (np.full(num_steps, np.nan) for _ in range(3))
    choices = []
    for origin in range(table.first, num_steps, steps_per_day):
        choice = _choose(naive, offered, ends, table, origin, steps_per_day)
        day = slice(origin, origin + steps_per_day)
        centre[day] = (naive | offered)[choice.model][day]
        low[day], high[day] = (end[day] for end in ends.of(choice.model, (naive | offered)[choice.model], choice.spread))
        choices.append(choice)
    least = 0.0 if is_never_negative else -np.inf
    centre = np.maximum(centre, least)
    low = np.maximum(np.fmin(low, centre), least)
    return Shipped(centre=centre, low=low, high=np.fmax(high, centre), choices=tuple(choices))


class _Ends:
    """Calibrated interval ends of each centre; made when first asked for."""

    def __init__(self, table: MemberTable, steps_per_day: int) -> None:
        self._table, self._day = table, steps_per_day
        self._made: dict[tuple[str, str], tuple[Floats, Floats]] = {}

    def of(self, name: str, centre: Floats, spread: str) -> tuple[Floats, Floats]:
        key = (name if spread == "errors" else BOOSTED, spread)
        if key not in self._made:
            bases = (centre, centre) if spread == "errors" else (self._table.boosted_low, self._table.boosted_high)
            table = self._table
            low, high = (
                calibrated_end(base, table.targets, table.lead, self._day, level)
                for base, level in zip(bases, (TAIL, 1 - TAIL), strict=True)
            )
            self._made[key] = low, high
        return self._made[key]


def _choose(
    naive: Mapping[str, Floats],
    offered: Mapping[str, Floats],
    ends: _Ends,
    table: MemberTable,
    origin: int,
    steps_per_day: int,
) -> Choice:
    """From the origins whose targets are known at `origin`."""
    last = origin - table.lead + 1
    window = slice(max(table.first, last - WINDOW_DAYS * steps_per_day), max(table.first, last))
    targets = table.targets[window]
    errors = {name: _errors(forecast[window], targets) for name, forecast in (naive | offered).items()}
    known = {name: error for name, error in errors.items() if error.size and not np.isnan(error).any()}
    usable = [name for name in naive if name in known]
    if not usable:
        return Choice(origin=origin, model="persistence", naive="persistence", skill_frac=None, spread="errors")
    best_naive = min(usable, key=lambda name: known[name].mean())
    model = min((name for name in known if name in offered), key=lambda name: known[name].mean(), default=best_naive)
    skill = 1 - known[model].mean() / known[best_naive].mean() if known[best_naive].mean() > 0 else 0.0
    if skill <= 0 or _share_of_days_better(known[model], known[best_naive], steps_per_day) < 0.5:
        model, skill = best_naive, 0.0
    centre = (naive | offered)[model]
    losses = {spread: _loss(ends.of(model, centre, spread), table, window) for spread in ("errors", BOOSTED)}
    spread = min(losses, key=lambda name: losses[name])
    return Choice(origin=origin, model=model, naive=best_naive, skill_frac=float(skill), spread=spread)


def _errors(forecast: Floats, targets: Floats) -> Floats:
    return np.abs(forecast - targets)[~np.isnan(targets)]


def _share_of_days_better(errors: Floats, naive_errors: Floats, steps_per_day: int) -> float:
    """Over whole days, counted back from the newest; ties count as better."""
    starts = np.arange(0, len(errors), steps_per_day)
    ours, theirs = (np.add.reduceat(item[::-1], starts) for item in (errors, naive_errors))
    return float(np.mean(ours <= theirs))


def _loss(ends: tuple[Floats, Floats], table: MemberTable, window: slice) -> float:
    """Pinball loss of both ends over the window, which they must cover for the most part; else infinite."""
    low, high, targets = ends[0][window], ends[1][window], table.targets[window]
    covered = ~np.isnan(low + high)
    if covered.sum() < 0.5 * len(covered) or not covered.any():
        return float("inf")
    targets = np.where(covered, targets, np.nan)
    return pinball(low, targets, TAIL) + pinball(high, targets, 1 - TAIL)
