"""`bedplate submit FILE`: a job for the service."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.pipeline.contract.needs import Needs
from bedplate.cli.queue import print_models
from bedplate.cli.terminal.output import note, output_option, print_json
from bedplate.cli.terminal.service_option import connected, follow_job, service_options
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import use_option

_OF_THE_FILE = (
    "workers",
    "accelerator",
    "count",
    "min",
    "cpus_per_worker",
    "cpu_per_device",
    "memory",
    "share",
    "gang",
    "topology",
    "labels",
)
"""Keys of `needs` that say what the work is: they stay in the file."""


@click.command("submit")
@click.argument("file", type=click.Path())
@settings_options(Needs, without=_OF_THE_FILE, is_overlay=True)
@click.option("--new", is_flag=True, help="Start a new run even if one for the same file and inputs exists.")
@click.option("--follow", "-f", is_flag=True, help="Show what becomes of it until it has ended; the exit code is the job's.")
@click.option("--dry-run", is_flag=True, help="Say what would happen now, and submit nothing.")
@service_options
@use_option
@output_option
def command(
    file: str,
    settings: dict[str, Any],
    new: bool,
    follow: bool,
    dry_run: bool,
    url: str | None,
    state: str | None,
    use: dict[str, str],
    output: str,
) -> None:
    """Submit the pipeline in FILE to the service; it waits, runs when it is its turn, and resumes after interruptions.

    What it needs, its key 'needs' says. Submitting the same file again while it waits or runs is the same job; afterwards it
    resumes the run. What can never run is refused at once, with the nearest request that could.

    \b
    Examples:
      bedplate submit train.yaml --tenant research/vision --priority 10
      bedplate submit train.yaml --dry-run
    """
    service = connected(url, state)
    if dry_run:
        show_forecast(service.forecast(file, uses=use, **settings), output)
        return
    job = service.submit(file, new=new, uses=use, **settings)
    if not job["is_new"]:
        unchanged = f"; what it asks for stays as it was (cancel it to submit it with other {', '.join(settings)})"
        note(f"{job['id']} has not ended yet: it is the same job{unchanged if settings else ''}")
    elif follow:
        note(f"{job['id']}: submitted")
    if follow:
        job = follow_job(service, job["id"])
    if output == "json":
        print_json(job)
    elif not follow:
        print(job["id"])


_WOULD = {
    "start": "would start now",
    "preempt": "would start once others have made room",
    "wait": "would wait",
    "refuse": "would be refused",
}


def show_forecast(forecast: dict[str, Any], output: str) -> None:
    """What would become of a submission."""
    if output == "json":
        print_json(forecast)
        return
    where = f" with {forecast['workers']} workers on {', '.join(forecast['nodes'])}" if forecast["nodes"] else ""
    model = f" ({forecast['model']})" if forecast["model"] else ""
    print(f"{_WOULD[forecast['would']]}{where}{model}")
    for line in forecast["lines"]:
        print(f"  - {line}")
    print_models(forecast["models"])
