"""The limiting indicator: the one whose rise to `good` would raise the overall score most.

A candidate was graded, is below `good`, and is so by its value: one that is only held back by its provenance or scale
is limited by evidence, not by the platform, and is listed separately. The rise is weight * (points of good - points now), over
the weight of all that was graded; ties go to the lower level, then to the larger weight, then to the order of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.core.measurement import Provenance
from bedplate.core.text import Text, text, text_of
from bedplate.scorecard.format import format_value
from bedplate.scorecard.grade import POINTS, Grade, Level, Scorecard
from bedplate.scorecard.words import LEVELS, PROVENANCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiting:
    """What holds the score back."""

    grade: Grade | None
    """None where every graded value is good, or nothing was graded."""
    why: Text
    """One sentence or two, with the numbers."""
    score_after_frac: float | None
    """Overall score once it is good; None where nothing limits."""


def find_limiting(scorecard: Scorecard) -> Limiting:
    """Find the limiting indicator, and explain why it limits."""
    candidates = [grade for grade in scorecard.grades if _limits(grade)]
    if scorecard.score_frac is None:
        return Limiting(
            grade=None, why=text("Nothing has been graded yet, so nothing limits the score."), score_after_frac=None
        )
    if not candidates:
        why = text("Every value that could be graded is good or better.")
        return Limiting(grade=None, why=why, score_after_frac=None)
    chosen = max(candidates, key=lambda grade: (_lift(grade), -POINTS[grade.level], grade.indicator.weight))
    graded_weight = sum(grade.indicator.weight for grade in scorecard.grades if grade.points is not None)
    after_frac = scorecard.score_frac + _lift(chosen) / graded_weight
    return Limiting(grade=chosen, why=_why(chosen, scorecard.score_frac, after_frac), score_after_frac=after_frac)


def held_back_by_evidence(scorecard: Scorecard) -> tuple[Grade, ...]:
    """Grades that a measurement at the claimed scale would raise."""
    return tuple(grade for grade in scorecard.grades if grade.cap is not None and grade.points is not None)


def _limits(grade: Grade) -> bool:
    return grade.points is not None and POINTS[grade.uncapped] < POINTS[Level.GOOD]


def _lift(grade: Grade) -> float:
    return grade.indicator.weight * (POINTS[Level.GOOD] - POINTS[grade.level])


def _why(grade: Grade, before_frac: float, after_frac: float) -> Text:
    indicator, measured = grade.indicator, grade.measured
    assert measured.value is not None and measured.provenance is not None
    why = text(
        "{name} is {value} ({provenance}, {level}); good begins at {good}. No other indicator would raise the overall score "
        "more: from {before} to {after}.",
        name=text_of(indicator.name),
        value=format_value(measured.value, indicator.unit),
        good=format_value(indicator.thresholds.good.value, indicator.unit),
        provenance=PROVENANCES[measured.provenance],
        level=LEVELS[grade.level],
        before=f"{before_frac * 100:.0f}",
        after=f"{after_frac * 100:.0f}",
    )
    counts = measured.provenance is Provenance.MEASURED and measured.num_nodes >= indicator.claimed_nodes
    if counts and not measured.is_disturbed:
        return why
    if indicator.claimed_nodes == 1:
        return text("{why} A value counts above base once it is measured on real hardware that runs nothing else.", why=why)
    return text(
        "{why} A value counts above base once it is measured on real hardware that runs nothing else, on {nodes} nodes or "
        "more.",
        why=why,
        nodes=indicator.claimed_nodes,
    )
