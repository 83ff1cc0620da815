"""`bedplate ps`: runs and their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.cli.terminal.group import WholeNumber
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.state_option import state_option

if TYPE_CHECKING:
    from bedplate.app.runs import RunView, StepRecord


@click.command("ps")
@click.argument("run", required=False)
@click.option("--limit", metavar="N", type=WholeNumber(1), default=100, show_default=True, help="At most N runs.")
@click.option("--before", metavar="RUN", help="Only runs older than this one (the last of the previous page).")
@click.option("--verbose", "-v", is_flag=True, help="Jobs of the service that have not ended too, and why they wait.")
@state_option
@output_option
def command(run: str | None, limit: int, before: str | None, verbose: bool, state: str | None, output: str) -> None:
    """List runs and their steps, newest run first; with RUN, only that one.

    RUN is a run's id or a prefix of it, a pipeline's name, or 'last'.

    \b
    Examples:
      bedplate ps last
      bedplate ps --limit 20 -o json
    """
    from bedplate.app.runs import existing, open_runs

    with open_runs(state) as runs:
        views = (existing(runs).find(run),) if run else runs.page(limit, before) if runs else ()
    jobs = _open_jobs(state) if verbose else []
    if output == "json":
        is_full = not run and len(views) == limit
        document = {"runs": [view.as_json() for view in views], "next": views[-1].run.id if is_full else None}
        print_json({**document, "jobs": jobs} if verbose else document)
    elif views:
        print_table(("run", "step", "status", "time", "what"), [row for view in views for row in _rows(view)])
    else:
        note("no runs yet; start one with 'bedplate run FILE'")
    if jobs and output != "json":
        print_table(("job", "run", "phase", "why"), [(job["id"], job["run_id"], job["phase"], job["why"]) for job in jobs])


def _open_jobs(state: str | None) -> list[dict[str, Any]] | None:
    """Jobs of the service that have not ended; None, and a note, where there is no service."""
    from bedplate.cli.terminal.service_option import connected
    from bedplate.core.errors import UnavailableError

    try:
        service = connected(None, state)
    except UnavailableError as error:
        note(f"jobs are not shown: {error.what}")
        return None
    return list(service.pages(service.queue, "jobs", phase=("waiting", "starting", "running", "stopping"), order="oldest"))


def _rows(view: RunView) -> list[tuple[object, ...]]:
    run = view.run
    error = (run.error or {}).get("error", "")
    by = str(view.holder) if view.holder else error
    elapsed_s = run.ended_at_s - run.started_at_s if run.ended_at_s and run.started_at_s else None
    head = (run.id, "", run.status.value, _time(elapsed_s), by)
    return [head, *(("", step.name, step.status.value, _time(step.seconds), _what(step)) for step in view.steps)]


def _what(step: StepRecord) -> str:
    from bedplate.core.units import format_count

    if step.error:
        return str(step.error.get("error", ""))
    if step.progress:
        done, total = (float(str(step.progress[name])) for name in ("done", "total"))
        return f"{format_count(done)} of {format_count(total)} {step.progress['unit']}"
    return step.use


def _time(seconds: float | None) -> str:
    from bedplate.core.units import format_duration

    return "" if seconds is None else format_duration(seconds)
