"""Which forecast is shipped: the best one that beat every naive forecast in the back-test, else the best naive one.

Chosen anew every day from the last two weeks that were known then. What a candidate gains a day over each naive forecast must
exceed half of its standard error, so that one lucky day decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bedplate.compute.forecast.combination import combine
from bedplate.compute.forecast.intervals import TAIL, calibrated_end
from bedplate.compute.forecast.measures import pinball
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.series import Floats
from bedplate.compute.forecast.table import BOOSTED, THETA, MemberTable

WINDOW_DAYS = 14
STANDARD_ERRORS = 0.5
LIVE = "live"
ERRORS = "errors"


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
    """The forecast of every origin from the table's first on; each uses only what was known then.

    Intervals rest on the errors of what was shipped, not on those of what is chosen now: the choice fell on it because its
    errors were small lately, so they say too little of those to come.
    """
    candidates = _candidates(table, steps_per_day)
    num_steps = len(table.targets)
    starts = range(table.first, num_steps, steps_per_day)
    centre = np.full(num_steps, np.nan)
    choices = []
    for origin in starts:
        choices.append(_choose(candidates, table, origin, steps_per_day))
        day = slice(origin, origin + steps_per_day)
        centre[day] = candidates[choices[-1].model][day]
    least = 0.0 if is_never_negative else -np.inf
    centre = np.maximum(centre, least)
    low, high, spreads = _ends(table, centre, starts, steps_per_day)
    return Shipped(
        centre=centre,
        low=np.maximum(np.fmin(low, centre), least),
        high=np.fmax(high, centre),
        choices=tuple(replace(choice, spread=spread) for choice, spread in zip(choices, spreads, strict=True)),
    )


def _candidates(table: MemberTable, steps_per_day: int) -> dict[str, Floats]:
    combined = combine(table.members, table.targets, table.lead, steps_per_day)
    return {name: table.members[name] for name in (*NAIVES, LIVE, BOOSTED, THETA) if name in table.members} | combined


def _ends(table: MemberTable, centre: Floats, starts: range, day: int) -> tuple[Floats, Floats, list[str]]:
    """Low and high end by origin, and where they come from on each day: whichever lost less lately."""
    made = {
        spread: (
            calibrated_end(bases[0], table.targets, table.lead, day, TAIL),
            calibrated_end(bases[1], table.targets, table.lead, day, 1 - TAIL),
        )
        for spread, bases in ((ERRORS, (centre, centre)), (BOOSTED, (table.boosted_low, table.boosted_high)))
    }
    low, high, spreads = np.full(len(centre), np.nan), np.full(len(centre), np.nan), []
    for origin in starts:
        window = _window(table, origin, day)
        losses = {spread: _loss(ends[0], ends[1], table, window) for spread, ends in made.items()}
        spreads.append(min(losses, key=lambda name: losses[name]))
        today = slice(origin, origin + day)
        low[today], high[today] = (end[today] for end in made[spreads[-1]])
    return low, high, spreads


def _window(table: MemberTable, origin: int, steps_per_day: int) -> slice:
    """The latest origins whose targets are known at `origin`."""
    last = max(table.first, origin - table.lead + 1)
    return slice(max(table.first, last - WINDOW_DAYS * steps_per_day), last)


def _choose(candidates: Mapping[str, Floats], table: MemberTable, origin: int, steps_per_day: int) -> Choice:
    naive = _best_naive(candidates, table, origin, steps_per_day)
    window = _window(table, origin, steps_per_day)
    targets = table.targets[window]
    is_known = ~np.isnan(targets)
    errors = {name: np.abs(forecast[window] - targets)[is_known] for name, forecast in candidates.items()}
    if is_known.sum() >= max(steps_per_day, 2 * table.lead):
        better = {name for name, error in errors.items() if _beats_all(error, [errors[item] for item in NAIVES], steps_per_day)}
        model = min(better, key=lambda name: errors[name].mean(), default=naive)
    else:
        model = naive
    skill = 1 - errors[model].mean() / errors[naive].mean() if is_known.any() and errors[naive].mean() > 0 else None
    return Choice(origin=origin, model=model, naive=naive, skill_frac=skill, spread=ERRORS)


def _best_naive(candidates: Mapping[str, Floats], table: MemberTable, origin: int, steps_per_day: int) -> str:
    """Over the same two weeks, which for naive forecasts may begin before the back-test does; ties go to the simpler one."""
    last = max(0, origin - table.lead + 1)
    window = slice(max(0, last - WINDOW_DAYS * steps_per_day), last)
    errors = np.stack([np.abs(candidates[name][window] - table.targets[window]) for name in NAIVES])
    is_known = ~np.isnan(table.targets[window]) & ~np.isnan(errors[1])
    if not is_known.any():
        return NAIVES[0]
    means = errors[:, is_known].mean(axis=1)
    return NAIVES[int(np.nanargmin(means))]


def _beats_all(errors: Floats, naives: Sequence[Floats], steps_per_day: int) -> bool:
    """Whether the mean gain of a day exceeds its doubt, against every naive forecast that speaks."""
    if np.isnan(errors).any():
        return False
    starts = np.arange(0, len(errors), steps_per_day)
    for naive in naives:
        if not np.isnan(naive).any():
            by_day = np.add.reduceat((naive - errors)[::-1], starts)
            doubt = by_day.std(ddof=1) / np.sqrt(len(by_day)) if len(by_day) > 1 else 0.0
            if by_day.mean() <= STANDARD_ERRORS * doubt:
                return False
    return True


def _loss(low: Floats, high: Floats, table: MemberTable, window: slice) -> float:
    """Pinball loss of both ends over the window, which they must cover for the most part; else infinite."""
    low, high, targets = low[window], high[window], table.targets[window]
    covered = ~np.isnan(low + high)
    if covered.sum() < 0.5 * len(covered) or not covered.any():
        return float("inf")
    targets = np.where(covered, targets, np.nan)
    return pinball(low, targets, TAIL) + pinball(high, targets, 1 - TAIL)
