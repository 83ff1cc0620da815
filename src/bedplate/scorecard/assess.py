"""The complete assessment of a run's measurements in one value, and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.core.text import Text, text, text_of
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard.catalogue import all_indicators
from bedplate.scorecard.grade import Grade, PartScore, Scorecard, grade_all
from bedplate.scorecard.indicator import Indicator
from bedplate.scorecard.limiting import Limiting, find_limiting
from bedplate.scorecard.whatif import WhatIf, what_if
from bedplate.scorecard.words import NO_VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Is it good, what limits it, and what would change if."""

    scorecard: Scorecard
    limiting: Limiting
    what_if: tuple[WhatIf, ...]

    def summary(self) -> tuple[Text, Text]:
        """Two lines for the person at the terminal: the score with its coverage, and what limits it."""
        score_frac, coverage_frac = self.scorecard.score_frac, self.scorecard.coverage_frac
        score = NO_VALUE if score_frac is None else f"{score_frac * 100:.0f}"
        line = text(
            "score {score} of 100, from {coverage} % of the indicators by weight",
            score=score,
            coverage=f"{coverage_frac * 100:.0f}",
        )
        return line, self.limiting.why

    def as_json(self, language: Language = Language.ENGLISH) -> JsonObject:
        """What `bedplate score -o json` prints; texts in `language`, keys as in DESIGN.md's fixed points."""
        limiting = self.limiting.grade
        return {
            "indicators": [_grade_json(grade, language) for grade in self.scorecard.grades],
            "parts": {part.part.value: _part_json(part) for part in self.scorecard.parts},
            "score_frac": self.scorecard.score_frac,
            "coverage_frac": self.scorecard.coverage_frac,
            "limiting": {
                "id": limiting.indicator.id if limiting else None,
                "why": in_language(self.limiting.why, language),
                "advice": in_language(text_of(limiting.indicator.advice), language) if limiting else None,
                "what_if": [answer.as_json(language) for answer in self.what_if],
            },
        }


def assess(measurements: Sequence[Measurement], indicators: Sequence[Indicator] | None = None) -> Assessment:
    """Grade measurements by `indicators`, or by all that ship with bedplate."""
    scorecard = grade_all(all_indicators() if indicators is None else indicators, measurements)
    limiting = find_limiting(scorecard)
    return Assessment(scorecard=scorecard, limiting=limiting, what_if=what_if(measurements, limiting, scorecard.score_frac))


def _grade_json(grade: Grade, language: Language) -> JsonObject:
    indicator, measured = grade.indicator, grade.measured
    return {
        "id": indicator.id,
        "part": indicator.part.value,
        "name": in_language(text_of(indicator.name), language),
        "value": measured.value,
        "unit": indicator.unit,
        "provenance": measured.provenance.value if measured.provenance else None,
        "level": grade.level.value,
        "uncapped_level": grade.uncapped.value,
        "capped_by": grade.cap.value if grade.cap else None,
        "disturbed": measured.is_disturbed,
        "source": "; ".join(dict.fromkeys(item.source for item in measured.inputs if item.source)) or None,
        "formula": indicator.formula,
        "missing": list(measured.missing),
        "command": indicator.collect.command,
        "command_available": indicator.collect.available,
        "weight": indicator.weight,
    }


def _part_json(part: PartScore) -> JsonObject:
    return {"score_frac": part.score_frac, "coverage_frac": part.coverage_frac}
