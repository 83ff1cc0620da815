"""`bedplate run FILE`: run a pipeline, or resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.lang_option import lang_option
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.state_option import engine_option, state_option, use_option

if TYPE_CHECKING:
    from bedplate.app.pipeline.run.outcome import RunOutcome


@click.command("run")
@click.argument("file", type=click.Path())
@click.option("--new", is_flag=True, help="Start a new run even if one for the same file and inputs exists.")
@click.option("--submit", is_flag=True, help="Let the service run it ('bedplate up'), and show what becomes of it.")
@click.option("--explain", is_flag=True, help="Explain each step before it runs, and suggest what to try next at the end.")
@lang_option
@engine_option
@state_option
@use_option
@output_option
def command(
    file: str,
    new: bool,
    submit: bool,
    explain: bool,
    engine: str,
    state: str | None,
    use: dict[str, str],
    output: str,
) -> None:
    """Run the pipeline in FILE; rerun the same command to resume.

    A run is known by the content of FILE and of the files that it names. Finished steps are kept; a step that was cut off
    runs again in its own directory. Ctrl-C ends it cleanly.

    \b
    Examples:
      bedplate run examples/lifecycle.yaml --explain
      bedplate run pipeline.yaml --engine ray://auto
    """
    if submit:
        from bedplate.cli.terminal.service_option import refuse_given

        refuse_given("engine", "explain", why="the service runs it, where 'bedplate up' was told to")
        _submit(file, state, use, output, new=new)
        return
    from bedplate.app.api import run
    from bedplate.cli.terminal.watching import open_watcher

    watcher = open_watcher(explain=explain)
    try:
        outcome = run(file, new=new, engine=engine, state=state, uses=use, watcher=watcher, check=False)
    finally:
        watcher.close()
    try:
        if output == "json":
            print_json(outcome.as_json())
        else:
            _print_outcome(outcome)
    finally:
        if outcome.error is not None:  # also where nobody reads the output: the exit code is the run's
            raise outcome.error
    if explain:
        from bedplate.cli.terminal.closing import closing_words

        note(closing_words(outcome))


def _submit(file: str, state: str | None, use: dict[str, str], output: str, *, new: bool) -> None:
    from bedplate.cli.terminal.service_option import connected, follow_job

    service = connected(None, state)
    job = follow_job(service, service.submit(file, new=new, uses=use)["id"])
    if output == "json":
        print_json(job)
    else:
        note(f"run {job['run_id']}: done; 'bedplate ps {job['run_id']}' shows its steps")


def _print_outcome(outcome: RunOutcome) -> None:
    from bedplate.app.shown import shown_value
    from bedplate.core.units import format_duration

    rows = [
        (step.name, step.status, "" if step.seconds is None else format_duration(step.seconds), step.path or "")
        for step in outcome.steps
    ]
    print_table(("step", "status", "time", "result"), rows, title=f"run {outcome.run_id}: {outcome.status}")
    if outcome.measurements:
        measured = [(item.id, shown_value(item.id, item.value, item.unit), item.evidence) for item in outcome.measurements]
        print_table(("measurement", "value", "provenance"), measured)
    if outcome.report is not None:
        print(f"report: {outcome.report}")
    if outcome.was_done_before:
        note(f"run {outcome.run_id} is already done; --new starts a new one")
