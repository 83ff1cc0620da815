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
    from bedplate.locale.text import Language
    from bedplate.scorecard.assess import Assessment
    from bedplate.scorecard.grade import Grade


@click.command("score")
@click.argument("run", required=False)
@click.option(
    "--from", "file", type=click.Path(path_type=Path, dir_okay=False), help="JSON that 'bedplate run -o json' printed."
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to this file too.")
@click.option("--lang", "language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of texts.")
@state_option
@output_option
def command(run: str | None, file: Path | None, html: Path | None, language: str, state: str | None, output: str) -> None:
    """Grade what RUN measured, and name what limits it.

    RUN is a run's id or the beginning of it, a pipeline's name, or 'last' (which is meant where none is named).

    \b
    Examples:
      bedplate score
      bedplate score last --html report.html --lang zh
    """
    from bedplate.locale.text import Language

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
    from bedplate.locale.text import text

    def say(key: str) -> str:
        return text(key).spoken_in(language)

    headings = [say(f"report.{key}") for key in ("part", "indicator", "value", "level", "short_provenance", "command")]
    print_table(headings, [_row(grade, language) for grade in assessment.scorecard.grades])
    for line in assessment.summary():
        note(line.spoken_in(language))


def _row(grade: Grade, language: Language) -> list[str]:
    from bedplate.locale.text import text
    from bedplate.scorecard.format import format_value

    indicator, measured = grade.indicator, grade.measured
    value = text("value.none") if measured.value is None else format_value(measured.value, indicator.unit)
    provenance = "" if measured.provenance is None else text(f"provenance.{measured.provenance.value}").spoken_in(language)
    if measured.is_disturbed:
        provenance += f" ({text('disturbed').spoken_in(language)})"
    level = text(f"level.{grade.level.value}").spoken_in(language)
    uncapped = f" ({text(f'level.{grade.uncapped.value}').spoken_in(language)})" if grade.cap else ""
    return [
        text(f"part.{indicator.part.value}").spoken_in(language),
        indicator.name.spoken_in(language),
        value.spoken_in(language),
        level + uncapped,
        provenance,
        indicator.collect.command if measured.value is None else "",
    ]
