"""Options of the verbs that work against the service, and how they show jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bedplate.cli.terminal.group import WholeNumber
from bedplate.cli.terminal.output import note
from bedplate.cli.terminal.state_option import state_option

if TYPE_CHECKING:
    from bedplate.app.control.client.client import ControlClient

Command = TypeVar("Command", bound=Callable[..., Any])


def service_options(command: Command) -> Command:
    """Adds `--url` and `--state`: which service; the token comes from BEDPLATE_TOKEN or the file that `up` wrote."""
    text = (
        "Address of the service.  [default: the one of the state, for which 'up' kept a token; for others, set BEDPLATE_TOKEN]"
    )
    return click.option("--url", metavar="URL", envvar="BEDPLATE_URL", help=text)(state_option(command))


def page_options(*orders: str) -> Callable[[Command], Command]:
    """Adds `--limit`, `--order` and `--cursor`: which page of a list."""

    def decorate(command: Command) -> Command:
        cursor = click.option("--cursor", metavar="CURSOR", help="'next' of the page before.")
        order = click.option("--order", type=click.Choice(orders), default=orders[0], show_default=True, help="Which first.")
        limit = click.option("--limit", metavar="N", type=WholeNumber(1), default=100, show_default=True, help="At most N.")
        return limit(order(cursor(command)))

    return decorate


def refuse_given(*options: str, why: str) -> None:
    """Raise UsageError where the user gave one of these options, which mean nothing beside `--submit`."""
    from bedplate.core.errors import UsageError

    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} means nothing with --submit", seen=f"--{name}", expected=why)


def connected(url: str | None, state: str | None) -> ControlClient:
    """The service that the options name."""
    from bedplate.app.control.client.connect import connect

    return connect(url=url, state=state)


def follow_job(service: ControlClient, job_id: str) -> dict[str, Any]:
    """Show what becomes of a job until it has ended.

    Raises:
        BedplateError: What ended it, if it is not done.
    """
    from bedplate.core.errors import BedplateError, CancelledError

    def show(job: dict[str, Any]) -> None:
        on = f" on {', '.join(job['nodes'])}" if job["nodes"] and job["phase"] in ("starting", "running") else ""
        note(f"{time.strftime('%H:%M:%S')} {job['id']}: {job['phase']}{on}{': ' + job['why'] if job['why'] else ''}")

    try:
        job = service.wait(job_id, on_change=show)
    except KeyboardInterrupt:
        note(f"{job_id} goes on; 'bedplate queue' shows it, 'bedplate cancel {job_id}' ends it")
        raise
    if job["phase"] == "failed":
        raise BedplateError.from_json(job["error"] or {"error": job["why"]})
    if job["phase"] == "cancelled":
        raise CancelledError(f"{job_id} was cancelled", seen=job["cancelled_by"], next_step="submit it again to resume it")
    return job
