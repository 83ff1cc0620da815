"""`bedplate cancel RUN`: ask a run to end."""

from __future__ import annotations

import click

from bedplate.cli.terminal.output import note, output_option, print_json
from bedplate.cli.terminal.state_option import state_option


@click.command("cancel")
@click.argument("run")
@click.option("--wait", "wait_s", default=30.0, show_default=True, metavar="SECONDS", help="How long to wait for it to end.")
@click.option("--force", is_flag=True, help="Kill its process if it has not ended by then.")
@state_option
@output_option
def command(run: str, wait_s: float, force: bool, state: str | None, output: str) -> None:
    """Ask RUN to end and wait until it has; rerun 'bedplate run' to resume it.

    RUN is a run's id or a prefix of it, a pipeline's name, or 'last'. With --force its process is killed if it
    does not end; only one of this machine and PID namespace, identified for certain.

    \b
    Examples:
      bedplate cancel last
      bedplate cancel lifecycle --wait 60 --force
    """
    from bedplate.app.runs import existing, open_runs

    with open_runs(state) as found:
        runs = existing(found)
        view = runs.cancel(runs.find(run), wait_s=wait_s, force=force)
    if output == "json":
        print_json({"run_id": view.run.id, "status": view.run.status.value})
    else:
        note(f"run {view.run.id}: {view.run.status.value}")
