"""`bedplate logs RUN [STEP]`: what the tasks of a run wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.group import WholeNumber
from bedplate.cli.terminal.output import note, output_option, print_json
from bedplate.cli.terminal.state_option import state_option

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bedplate.app.runs import Runs, TaskLog

_LOOK_EVERY_S = 0.5


@click.command("logs")
@click.argument("run", default="last")
@click.argument("step", required=False)
@click.option("--rank", type=WholeNumber(0), help="Only the task with this rank.")
@click.option("--follow", "-f", is_flag=True, help="Keep printing until the run ends.")
@state_option
@output_option
def command(run: str, step: str | None, rank: int | None, follow: bool, state: str | None, output: str) -> None:
    """Show what the tasks of RUN (and STEP) wrote to stdout and stderr, each line with its step, gang and rank.

    \b
    Examples:
      bedplate logs last
      bedplate logs lifecycle train --rank 1 --follow
    """
    from bedplate.app.runs import existing, open_runs

    with open_runs(state) as found:
        runs = existing(found)
        run_id = runs.find(run).run.id
        if follow and output != "json":
            _follow(runs, run_id, step, rank)
            return
        logs = runs.logs(runs.find(run_id), step, rank)
    if output == "json":
        print_json({"run_id": run_id, "logs": [_as_json(log) for log in logs]})
        return
    for log in logs:
        _print_lines(log, log.path.read_text(errors="replace").splitlines())
    if not any(log.path.stat().st_size for log in logs):
        note("no task has written anything")


def _follow(runs: Runs, run_id: str, step: str | None, rank: int | None) -> None:
    offsets: dict[Path, int] = {}
    is_last = False
    while True:
        view = runs.find(run_id)
        for log in runs.logs(view, step, rank):
            with log.path.open("rb") as file:
                file.seek(offsets.get(log.path, 0))
                text = file.read()
            complete = len(text) if is_last else text.rfind(b"\n") + 1
            offsets[log.path] = offsets.get(log.path, 0) + complete
            _print_lines(log, text[:complete].decode(errors="replace").splitlines())
        if is_last:
            return
        is_last = view.holder is None
        if not is_last:
            runs.state.clock.wait(_LOOK_EVERY_S)


def _print_lines(log: TaskLog, lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"{log.gang.step} {log.gang.id} rank {log.rank} | {line}")


def _as_json(log: TaskLog) -> dict[str, object]:
    return {
        "step": log.gang.step,
        "gang": log.gang.id,
        "attempt": log.gang.attempt,
        "rank": log.rank,
        "path": str(log.path),
        "text": log.path.read_text(errors="replace"),
    }
