"""`bedplate events RUN`: what happened in a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.output import output_option, print_json
from bedplate.cli.terminal.state_option import state_option

if TYPE_CHECKING:
    from bedplate.app.runs import EventRecord, Runs
    from bedplate.core.json import JsonObject

_LOOK_EVERY_S = 0.5


@click.command("events")
@click.argument("run", default="last")
@click.option("--kind", metavar="KIND", help="Only this kind (task.exited), or all below it (task).")
@click.option("--follow", "-f", is_flag=True, help="Keep printing until the run ends.")
@state_option
@output_option
def command(run: str, kind: str | None, follow: bool, state: str | None, output: str) -> None:
    """Show what happened in RUN, oldest first; with --follow -o json, one JSON object a line.

    \b
    Examples:
      bedplate events last --kind task
      bedplate events lifecycle --follow -o json
    """
    from bedplate.app.runs import existing, open_runs

    with open_runs(state) as found:
        runs = existing(found)
        run_id = runs.find(run).run.id
        if follow:
            _follow(runs, run_id, kind, as_json=output == "json")
        elif output == "json":
            print_json({"run_id": run_id, "events": [_as_json(event) for event in _all(runs, run_id, kind)]})
        else:
            for event in _all(runs, run_id, kind):
                click.echo(_line(event))


def _all(runs: Runs, run_id: str, kind: str | None, after: int = 0) -> list[EventRecord]:
    events: list[EventRecord] = []
    while batch := runs.state.events.after(after, run_id=run_id, kind=kind):
        events += batch
        after = batch[-1].number
    return events


def _follow(runs: Runs, run_id: str, kind: str | None, *, as_json: bool) -> None:
    import json

    after, is_last = 0, False
    while True:
        for event in _all(runs, run_id, kind, after):
            after = event.number
            click.echo(json.dumps(_as_json(event), ensure_ascii=False) if as_json else _line(event))
        if is_last:
            return
        is_last = runs.find(run_id).holder is None
        if not is_last:
            time.sleep(_LOOK_EVERY_S)


def _line(event: EventRecord) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at_s))
    severity = "" if event.severity == "info" else event.severity.upper()
    return " ".join(filter(None, (at, event.step or "-", event.kind, severity, event.message)))


def _as_json(event: EventRecord) -> JsonObject:
    return {
        "number": event.number,
        "step": event.step,
        "kind": event.kind,
        "at_s": event.at_s,
        "severity": event.severity,
        "source": event.source,
        "message": event.message,
        "attributes": event.attributes,
    }
