"""`bedplate score`: grade what was measured, and name what limits it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.state_option import state_option
from bedplate.core.errors import UsageError

if TYPE_CHECKING:
    from bedplate.app.scorecard.graded_run import GradedRun
    from bedplate.locale.languages import Language
    from bedplate.scorecard.assess import Assessment
    from bedplate.scorecard.grade import Grade


@click.command("score")
@click.argument("run", required=False)
@click.option(
    "--from", "file", type=click.Path(path_type=Path, dir_okay=False), help="JSON that 'bedplate run -o json' printed."
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to this file too.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of texts.")
@state_option
@output_option
def command(run: str | None, file: Path | None, html: Path | None, language: str, state: str | None, output: str) -> None:
    """Grade what RUN measured, and name what limits it.

    RUN is a run's id or the beginning of it, a pipeline's name, or 'last' (which is meant where none is named).
    """
    from bedplate.locale.languages import Language

    if run and file:
        raise UsageError("a run and a file cannot both be graded", seen=f"{run} and --from {file}", expected="one of them")
    graded = _graded_run(run, file, state)
    assessment = graded.assess()
    speech = Language(language)
    if html is not None:
        _write(graded, assessment, html, speech)
    if output == "json":
        print_json(assessment.as_json(speech))
    else:
        _print(assessment, speech)


def _graded_run(run: str | None, file: Path | None, state: str | None) -> GradedRun:
    from bedplate.app.scorecard.graded_run import read_graded_run, stored_graded_run

    return stored_graded_run(run or "last", state) if file is None else read_graded_run(file)


def _write(graded: GradedRun, assessment: Assessment, html: Path, language: Language) -> None:
    import time

    from bedplate.app.scorecard.graded_run import write_report

    write_report(graded, assessment, html, language=language, created_s=time.time())
    note(f"report: {html}")


def _print(assessment: Assessment, language: Language) -> None:
    from bedplate.core.text import text
    from bedplate.locale.catalogue import spoken

    headings = (
        text("Part"),
        text("Indicator"),
        text("Value"),
        text("Level"),
        text("Provenance"),
        text("Measured by"),
    )
    print_table(
        [spoken(words, language) for words in headings], [_row(grade, language) for grade in assessment.scorecard.grades]
    )
    for line in assessment.summary():
        note(spoken(line, language))


def _row(grade: Grade, language: Language) -> list[str]:
    from bedplate.core.text import text_of
    from bedplate.locale.catalogue import spoken
    from bedplate.scorecard import words
    from bedplate.scorecard.format import format_value

    indicator, measured = grade.indicator, grade.measured
    value = words.NO_VALUE if measured.value is None else format_value(measured.value, indicator.unit)
    provenance = "" if measured.provenance is None else spoken(words.PROVENANCES[measured.provenance], language)
    if measured.is_disturbed:
        provenance += f" ({spoken(words.DISTURBED, language)})"
    uncapped = f" ({spoken(words.LEVELS[grade.uncapped], language)})" if grade.cap else ""
    return [
        spoken(words.PARTS[indicator.part], language),
        spoken(text_of(indicator.name), language),
        spoken(value, language),
        spoken(words.LEVELS[grade.level], language) + uncapped,
        provenance,
        indicator.collect.command if measured.value is None else "",
    ]
