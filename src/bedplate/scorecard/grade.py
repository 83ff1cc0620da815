"""Levels and scores, by rules that fit on one page.

- A value's level is the highest threshold that it reaches: below_base, base, good, lead.
- Only a value that was *measured*, on at least the number of nodes that the indicator claims, reaches `good` or `lead`.
  Emulated, replayed and simulated values, measurements at a smaller scale, and times and rates that other work on the
  machine disturbed stop at `base`; what would have been reached is kept as well. A published value is shown and never graded.
- A level is worth 0, 1/3, 2/3 or 1. The score of a part, and overall, is the mean of what was graded, by weight.
  Missing indicators do not lower the score; they lower the coverage, which is always shown with it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.core.measurement import Measurement, Provenance
from bedplate.scorecard.indicator import Indicator, Part
from bedplate.scorecard.measure import IndicatorValue, latest_by_id, measure


class Level(enum.StrEnum):
    """How good a value is."""

    BELOW_BASE = "below_base"
    BASE = "base"
    GOOD = "good"
    LEAD = "lead"
    UNGRADED = "ungraded"
    """Shown, but published by others: it is no evidence about this machine."""
    MISSING = "missing"
    """Nothing has measured it."""


POINTS = {Level.BELOW_BASE: 0.0, Level.BASE: 1 / 3, Level.GOOD: 2 / 3, Level.LEAD: 1.0}
"""What a level is worth; levels without points are not graded."""


class Cap(enum.StrEnum):
    """Why a level is lower than the value alone would give."""

    PROVENANCE = "provenance"
    SCALE = "scale"
    DISTURBANCE = "disturbance"
    """A time or rate of which other work on the machine took part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One indicator, its value and its level."""

    indicator: Indicator
    measured: IndicatorValue
    level: Level
    uncapped: Level
    """The level that the value would have if it were measured at the claimed scale."""
    cap: Cap | None

    @property
    def points(self) -> float | None:
        """0 to 1; None where it is not graded."""
        return POINTS.get(self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartScore:
    """Mean over the graded indicators of a part, by weight."""

    part: Part
    score_frac: float | None
    """0 to 1; None where nothing was graded."""
    coverage_frac: float
    """Share of the part's indicators that have a value, by weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """All grades, and what they sum up to."""

    grades: tuple[Grade, ...]
    parts: tuple[PartScore, ...]
    score_frac: float | None
    coverage_frac: float


def grade(indicator: Indicator, measured: IndicatorValue) -> Grade:
    """The level of one value."""
    if measured.value is None:
        level, cap = Level.MISSING, None
        return Grade(indicator=indicator, measured=measured, level=level, uncapped=level, cap=cap)
    uncapped = _level(indicator, measured.value)
    if measured.provenance is Provenance.PUBLISHED:
        return Grade(indicator=indicator, measured=measured, level=Level.UNGRADED, uncapped=uncapped, cap=Cap.PROVENANCE)
    cap = _cap(indicator, measured) if POINTS[uncapped] > POINTS[Level.BASE] else None
    return Grade(indicator=indicator, measured=measured, level=Level.BASE if cap else uncapped, uncapped=uncapped, cap=cap)


def grade_all(indicators: Sequence[Indicator], measurements: Sequence[Measurement]) -> Scorecard:
    """Grade everything that the measurements of a run can answer."""
    latest = latest_by_id(measurements)
    grades = tuple(grade(indicator, measure(indicator, latest)) for indicator in indicators)
    parts = tuple(_part_score(part, [item for item in grades if item.indicator.part is part]) for part in Part)
    return Scorecard(grades=grades, parts=parts, score_frac=_score_frac(grades), coverage_frac=_coverage_frac(grades))


def _level(indicator: Indicator, value: float) -> Level:
    thresholds = indicator.thresholds
    for level, threshold in ((Level.LEAD, thresholds.lead), (Level.GOOD, thresholds.good), (Level.BASE, thresholds.base)):
        if indicator.reaches(value, threshold):
            return level
    return Level.BELOW_BASE


def _cap(indicator: Indicator, measured: IndicatorValue) -> Cap | None:
    if measured.provenance is not Provenance.MEASURED:
        return Cap.PROVENANCE
    if measured.num_nodes < indicator.claimed_nodes:
        return Cap.SCALE
    return Cap.DISTURBANCE if measured.is_disturbed else None


def _part_score(part: Part, grades: Sequence[Grade]) -> PartScore:
    return PartScore(part=part, score_frac=_score_frac(grades), coverage_frac=_coverage_frac(grades))


def _score_frac(grades: Sequence[Grade]) -> float | None:
    graded = [(item.points, item.indicator.weight) for item in grades if item.points is not None]
    weight = sum(weight for _, weight in graded)
    return sum(points * weight for points, weight in graded) / weight if weight else None


def _coverage_frac(grades: Sequence[Grade]) -> float:
    weight = sum(item.indicator.weight for item in grades)
    return sum(item.indicator.weight for item in grades if item.points is not None) / weight if weight else 0.0
