"""`bedplate score`: grade what was measured, and name what limits it."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli.terminal.lang_option import lang_option
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.state_option import state_option
from bedplate.core.errors import UsageError


@click.command("score")
@click.argument("run", required=False)
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Grade the output of 'bedplate run -o json' instead.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report to this file.")
@lang_option
@state_option
@output_option
def command(run: str | None, file: Path | None, html: Path | None, state: str | None, output: str) -> None:
    """Grade what RUN measured, and name what limits it.

    RUN is a run's id or a prefix of it, a pipeline's name, or 'last' (the default).

    \b
    Examples:
      bedplate score
      bedplate score last --html report.html --lang zh
    """
    from bedplate.app.scorecard.graded_run import read_graded_run, stored_graded_run, write_report
    from bedplate.app.scorecard.table import summary_lines, table_headings, table_rows
    from bedplate.core.clock import SystemClock
    from bedplate.locale.languages import choose_language

    if run and file:
        raise UsageError("cannot grade both a run and a file", seen=f"{run} and --from {file}", expected="one of them")
    graded = stored_graded_run(run or "last", state) if file is None else read_graded_run(file)
    assessment, language = graded.assess(), choose_language()
    if html is not None:
        write_report(graded, assessment, html, language=language, created_s=SystemClock().now())
        note(f"report: {html}")
    if output == "json":
        print_json(assessment.as_json(language))
        return
    print_table(table_headings(language), table_rows(assessment, language))
    for line in summary_lines(assessment, language):
        note(line)
