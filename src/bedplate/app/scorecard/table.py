"""The scorecard as a table that people read, in one language."""

from __future__ import annotations

from bedplate.core.text import text, text_of
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard import words
from bedplate.scorecard.assess import Assessment as Assessment
from bedplate.scorecard.format import format_value
from bedplate.scorecard.grade import Grade


def table_headings(language: Language) -> list[str]:
    """Headings of `table_rows`."""
    headings = (text("Part"), text("Indicator"), text("Value"), text("Level"), text("Provenance"), text("Measured by"))
    return [in_language(heading, language) for heading in headings]


def table_rows(assessment: Assessment, language: Language) -> list[list[str]]:
    """One row an indicator; the command that would measure it where nothing did."""
    return [_row(grade, language) for grade in assessment.scorecard.grades]


def summary_lines(assessment: Assessment, language: Language) -> list[str]:
    """What limits the platform, and what was covered."""
    return [in_language(line, language) for line in assessment.summary()]


def _row(grade: Grade, language: Language) -> list[str]:
    indicator, measured = grade.indicator, grade.measured
    value = words.NO_VALUE if measured.value is None else format_value(measured.value, indicator.unit)
    provenance = "" if measured.provenance is None else in_language(words.PROVENANCES[measured.provenance], language)
    if measured.is_disturbed:
        provenance += f" ({in_language(words.DISTURBED, language)})"
    uncapped = f" ({in_language(words.LEVELS[grade.uncapped], language)})" if grade.cap else ""
    return [
        in_language(words.PARTS[indicator.part], language),
        in_language(text_of(indicator.name), language),
        in_language(value, language),
        in_language(words.LEVELS[grade.level], language) + uncapped,
        provenance,
        _command(grade, language) if measured.value is None else "",
    ]


def _command(grade: Grade, language: Language) -> str:
    collect = grade.indicator.collect
    return collect.command if collect.available else in_language(text("planned for a later version"), language)
