"""`bedplate cancel RUN`: ask a run to end."""

from __future__ import annotations

import re

import click

from bedplate.cli.terminal.output import note, output_option, print_json
from bedplate.cli.terminal.state_option import state_option
from bedplate.core.errors import UsageError


@click.command("cancel")
@click.argument("run")
@click.option("--wait", "wait_s", default=30.0, show_default=True, metavar="SECONDS", help="How long to wait for it to end.")
@click.option("--force", is_flag=True, help="Kill its process if it has not ended by then.")
@state_option
@output_option
def command(run: str, wait_s: float, force: bool, state: str | None, output: str) -> None:
    """Ask RUN to end and wait until it has; rerun 'bedplate run' to resume it.

    RUN is a run's id or a prefix of it, a pipeline's name, or 'last'; or a job of the service ('job-17'). With --force its
    process is killed if it does not end; only one of this machine and PID namespace, identified for certain.

    \b
    Examples:
      bedplate cancel last
      bedplate cancel lifecycle --wait 60 --force
      bedplate cancel job-17
    """
    if re.fullmatch(r"job-[0-9]+", run):
        if force:
            raise UsageError(
                "--force means nothing for a job of the service",
                seen=run,
                expected="a run of this machine",
                next_step="without it: its process is killed when its grace is over",
            )
        _cancel_job(run, wait_s, state, output)
        return
    from bedplate.app.runs import existing, open_runs

    with open_runs(state) as found:
        runs = existing(found)
        view = runs.cancel(runs.find(run), wait_s=wait_s, force=force)
    if output == "json":
        print_json({"run_id": view.run.id, "status": view.run.status.value})
    else:
        note(f"run {view.run.id}: {view.run.status.value}")


def _cancel_job(job_id: str, wait_s: float, state: str | None, output: str) -> None:
    from bedplate.cli.terminal.service_option import connected
    from bedplate.core.errors import UnavailableError

    service = connected(None, state)
    service.cancel(job_id)
    job = service.wait(job_id, timeout_s=wait_s)
    if job["status"] not in ("done", "failed", "cancelled"):
        raise UnavailableError(
            f"{job_id} has not ended yet",
            seen=f"{job['phase']} after {wait_s:g} s",
            next_step="wait: it is killed when its grace is over",
        )
    if output == "json":
        print_json({"job_id": job_id, "run_id": job["run_id"], "status": job["status"]})
    else:
        note(f"{job_id}: {job['status']}")
