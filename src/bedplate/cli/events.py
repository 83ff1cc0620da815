"""`bedplate events`: what happened, in a run or to a node, device, link or service."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.group import WholeNumber
from bedplate.cli.terminal.output import note, output_option, print_json
from bedplate.cli.terminal.state_option import state_option

if TYPE_CHECKING:
    from bedplate.app.runs import EventRecord, Runs
    from bedplate.core.events.event import Subject

_LOOK_EVERY_S = 0.5


@click.command("events")
@click.argument("run", required=False)
@click.option("--subject", metavar="KIND[:ID]", help="Only events about this subject: service:doctor, device, step:RUN/STEP.")
@click.option("--kind", metavar="KIND", help="Only this kind (task.exited), or every kind under it (task).")
@click.option("--after", metavar="NUMBER", type=WholeNumber(0), default=0, help="Only events after this one.")
@click.option("--limit", metavar="N", type=WholeNumber(1), help="At most N events.  [default: all]")
@click.option("--follow", "-f", is_flag=True, help="Keep printing until the run ends; without a run, until Ctrl-C.")
@state_option
@output_option
def command(
    run: str | None,
    subject: str | None,
    kind: str | None,
    after: int,
    limit: int | None,
    follow: bool,
    state: str | None,
    output: str,
) -> None:
    """Show what happened in RUN (default: the last run), oldest first; with --follow -o json, one JSON object per line.

    With --subject and no RUN, show events from all runs and from outside of runs.

    \b
    Examples:
      bedplate events last --kind task.exited
      bedplate events --subject service:doctor
      bedplate events --subject device -o json --limit 100
    """
    from bedplate.app.runs import event_as_json, existing, open_runs
    from bedplate.core.events.event import parse_subject

    about = None if subject is None else parse_subject(subject)
    _check_kind(kind)
    with open_runs(state) as found:
        if found is None and about is not None:
            note("no events yet")
            return
        runs = existing(found)
        run_id = None if run is None and about is not None else runs.find(run or "last").run.id
        if follow:
            _follow(runs, run_id, about, kind, after, as_json=output == "json")
            return
        events = runs.events(after, run_id=run_id, subject=about, kind=kind, limit=limit)
        if output == "json":
            documents = [event_as_json(event) for event in events]
            print_json({"run_id": run_id, "events": documents, "next": documents[-1]["number"] if documents else after})
        else:
            for event in events:
                click.echo(_line(event, with_subject=run_id is None))


def _check_kind(kind: str | None) -> None:
    from bedplate.core.errors import check_known
    from bedplate.core.events.kinds import EVENT_KINDS

    if kind is not None:
        check_known(kind, {*EVENT_KINDS, *(name.partition(".")[0] for name in EVENT_KINDS)}, "no event kind")


def _follow(runs: Runs, run_id: str | None, about: Subject | None, kind: str | None, after: int, *, as_json: bool) -> None:
    from bedplate.app.runs import event_as_json

    is_last = False
    while True:
        for event in runs.events(after, run_id=run_id, subject=about, kind=kind, limit=None):
            after = event.number
            click.echo(
                json.dumps(event_as_json(event), ensure_ascii=False) if as_json else _line(event, with_subject=run_id is None)
            )
        if is_last:
            return
        is_last = run_id is not None and runs.find(run_id).holder is None
        if not is_last:
            runs.state.clock.wait(_LOOK_EVERY_S)


def _line(event: EventRecord, *, with_subject: bool) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at_s))
    severity = "" if event.severity == "info" else event.severity.upper()
    about = str(event.subject) if with_subject else event.step or "-"
    return " ".join(filter(None, (at, about, event.kind, severity, event.message)))
