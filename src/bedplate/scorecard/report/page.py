"""The report as one HTML file: styles, pictures and both languages inside, nothing fetched, no script.

A text is written once per language, and two radio buttons with CSS choose which is seen: so the page works from a mail
attachment, under the strictest content policy, by keyboard, and on paper. All values pass through Jinja2's escaping.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bedplate.core.figures import Figure, ResultTable
from bedplate.core.measurement import Provenance
from bedplate.core.text import AnyText, Text, text, text_of
from bedplate.core.units import format_duration
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import Language
from bedplate.scorecard import words
from bedplate.scorecard.format import format_value
from bedplate.scorecard.grade import Grade, Level, PartScore
from bedplate.scorecard.indicator import Basis, Indicator, Threshold
from bedplate.scorecard.limiting import held_back_by_evidence
from bedplate.scorecard.report.model import FigurePage, Report, ReportStep
from bedplate.scorecard.report.plots import draw, series_colour

_MAX_TABLE_ROWS = 60


def render(report: Report) -> str:
    """The complete page."""
    grades = report.scorecard.grades
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            style=Markup(_style()),  # noqa: S704 - our own file
            by_part=[
                (score, [grade for grade in grades if grade.indicator.part is score.part]) for score in report.scorecard.parts
            ],
            missing=[grade for grade in grades if grade.level is Level.MISSING],
            held_back=held_back_by_evidence(report.scorecard),
            timeline=_timeline(report.steps),
            hardware=_hardware(grades),
            created=_moment(report.created_s),
            provenances=list(Provenance),
            bases=list(Basis),
            levels=[Level.BASE, Level.GOOD, Level.LEAD],
        )
    )


def render_figures(page: FigurePage) -> str:
    """A complete page of figures and tables, without a scorecard."""
    style = Markup(_style())  # noqa: S704 - our own file
    return _environment().get_template("figure_page.html.jinja").render(page=page, style=style, created=_moment(page.created_s))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bedplate.scorecard.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        say=_say, spoken=_spoken, value=_value, threshold=_threshold, gauge=_gauge, cap=words.cap_text, plot=_plot, cell=_cell
    )
    environment.globals.update(duration=format_duration, colour=series_colour, part_count=_part_count, score=_score)
    environment.globals.update(zip=zip, words=words, text_of=text_of, is_number_column=_is_number_column)
    environment.globals.update(all_languages=list(Language), max_rows=_MAX_TABLE_ROWS)
    return environment


def _moment(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _style() -> str:
    return resources.files("bedplate.scorecard.report").joinpath("templates/page.css").read_text(encoding="utf-8")


def _spoken(shown: AnyText) -> Markup:
    """A text in every language; where all are the same, once."""
    in_all = {language: in_language(shown, language) for language in Language}
    if len(set(in_all.values())) == 1:
        return escape(in_all[Language.ENGLISH])
    return Markup("").join(
        Markup('<span lang="{}">{}</span>').format(language.value, words_) for language, words_ in in_all.items()
    )


def _say(template: str, **values: AnyText | int | float) -> Markup:
    return _spoken(Text(template=template, values=values))


def _value(number: float | None, unit: str) -> Markup:
    return _spoken(words.NO_VALUE if number is None else format_value(number, unit))


def _threshold(indicator: Indicator, threshold: Threshold) -> Markup:
    sign = "≥ " if indicator.direction == "higher" else "≤ "
    sign = "" if indicator.unit == "bool" else sign
    return Markup("{}{}").format(sign, _value(threshold.value, indicator.unit))


def _score(score_frac: float | None) -> str:
    return "–" if score_frac is None else f"{score_frac * 100:.0f}"


def _gauge(grade: Grade) -> float | None:
    """Where the value is on a bar of four equal levels, 0 to 1; linear inside a level, None where there is none."""
    value, indicator = grade.measured.value, grade.indicator
    if value is None:
        return None
    thresholds = (indicator.thresholds.base, indicator.thresholds.good, indicator.thresholds.lead)
    reached = sum(indicator.reaches(value, threshold) for threshold in thresholds)
    if indicator.role == "gate":
        return 0.75 if reached else 0.25
    if reached in (0, 3):
        return (reached + _outside(value, thresholds[max(0, reached - 1)].value, reached)) / 4
    low, high = thresholds[reached - 1].value, thresholds[reached].value
    return (reached + (value - low) / (high - low)) / 4


def _outside(value: float, mark: float, reached: int) -> float:
    """Share of an open-ended level: how far beyond (or short of) its threshold, against the threshold itself."""
    distance = min(1.0, abs(value - mark) / abs(mark)) if mark else 1.0
    return 0.1 + 0.8 * distance if reached == 3 else 0.9 - 0.8 * distance


def _plot(figure: Figure) -> Markup | None:
    drawn = draw(figure)
    return None if drawn is None else Markup(drawn)  # noqa: S704 - plots.draw escapes every text that it writes


def _cell(value: AnyText | float | None) -> Markup:
    if value is None:
        return escape(words.NO_VALUE)
    return escape(f"{value:.6g}") if isinstance(value, float) else _spoken(value if isinstance(value, Text) else str(value))


def _is_number_column(table: ResultTable, index: int) -> bool:
    cells = [row[index] for row in table.rows if index < len(row) and row[index] is not None]
    return bool(cells) and all(isinstance(cell, int | float) for cell in cells)


def _part_count(score: PartScore, grades: Sequence[Grade]) -> Text:
    count = sum(grade.points is not None for grade in grades)
    return text("{count} of {total} indicators have a value", count=count, total=len(grades))


def _timeline(steps: Sequence[ReportStep]) -> list[tuple[ReportStep, float | None, float | None]]:
    """Each step with its start and length as shares of the run, 0 to 1; None where a time is not known.

    Steps run one after another, so lengths alone are enough: a step starts where the one before it ended.
    """
    total_s = sum(step.duration_s or 0.0 for step in steps)
    placed: list[tuple[ReportStep, float | None, float | None]] = []
    elapsed_s = 0.0
    for step in steps:
        if step.duration_s is None or total_s <= 0:
            placed.append((step, None, None))
            continue
        placed.append((step, elapsed_s / total_s, step.duration_s / total_s))
        elapsed_s += step.duration_s
    return placed


def _hardware(grades: Sequence[Grade]) -> list[tuple[str, Provenance]]:
    """Hardware and provenance of all inputs, each pair once."""
    pairs = {(item.hardware, item.provenance) for grade in grades for item in grade.measured.inputs if item.hardware}
    return sorted(pairs)
