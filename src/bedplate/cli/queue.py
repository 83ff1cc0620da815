"""`bedplate queue`: jobs of the service."""

from __future__ import annotations

import time
from typing import Any

import click

from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.service_option import connected, page_options, service_options

_PHASES = ("waiting", "starting", "running", "stopping", "done", "failed", "cancelled")
_OPEN = _PHASES[:4]
_KWH_J = 3.6e6


@click.command("queue")
@click.argument("job", required=False)
@click.option("--phase", type=click.Choice(_PHASES), multiple=True, help="Only jobs there; may be repeated.")
@click.option("--all", "show_all", is_flag=True, help="Jobs that have ended too.")
@click.option("--user", metavar="NAME", help="Only jobs of this user.")
@click.option("--tenant", metavar="TENANT", multiple=True, help="Only jobs of this tenant and those below it; may be repeated.")
@click.option("--name", metavar="NAME", help="Only jobs of pipelines of this name.")
@click.option("--verbose", "-v", is_flag=True, help="Say why each job is where it is.")
@page_options("oldest", "newest")
@service_options
@output_option
def command(
    job: str | None,
    phase: tuple[str, ...],
    show_all: bool,
    user: str | None,
    tenant: tuple[str, ...],
    name: str | None,
    verbose: bool,
    limit: int,
    order: str,
    cursor: str | None,
    url: str | None,
    state: str | None,
    output: str,
) -> None:
    """List jobs that wait and run, in the order of submission; with JOB, all about that one.

    \b
    Examples:
      bedplate queue -v
      bedplate queue --phase waiting --tenant research -o json
      bedplate queue job-17
    """
    service = connected(url, state)
    if job is not None:
        found = service.job(job)
        if output == "json":
            print_json(found)
        else:
            _print_jobs([found], verbose=True)
            print_models(found["models"])
        return
    phases = phase or (() if show_all else _OPEN)
    page = service.queue(
        phase=phases, user=user, tenant=tenant, name=name, order=order, limit=limit, cursor=cursor, explain=verbose
    )
    if output == "json":
        print_json(page)
        return
    if not page["jobs"]:
        note("no such jobs; 'bedplate submit FILE' submits one, --all shows those that have ended")
        return
    _print_jobs(page["jobs"], verbose=verbose)
    if page["next"]:
        note(f"more: --cursor {page['next']}")


def print_models(models: list[dict[str, Any]]) -> None:
    """What a job takes on each model that it accepts."""
    headings = ("on", "speed", "memory", "lasts", "ends in", "cost", "energy")
    if models:
        print_table(headings, [_model_row(item) for item in models])


def _model_row(item: dict[str, Any]) -> tuple[object, ...]:
    from bedplate.core.units import format_bytes, format_duration

    speed, memory = item["speed"], item["memory"]
    cost, per = (item["cost_of_an_hour"], " an hour") if item["cost"] is None else (item["cost"], "")
    money, joules = cost["money"], cost["joules"]
    ends_at_s = item["ends_at_s"]
    return (
        item["model"] or "processors",
        None if speed is None else _speed(speed),
        _known(format_bytes(memory["value"]), memory) if memory else None,
        None if item["lasts_s"] is None else format_duration(item["lasts_s"]),
        None if ends_at_s is None else format_duration(max(0.0, ends_at_s - time.time())),
        _known(f"{money['value']:.4g} {cost['currency']}{per}", money) if money else None,
        _known(f"{joules['value'] / _KWH_J:.3g} kWh{per}", joules) if joules else None,
    )


def _speed(speed: dict[str, Any]) -> str:
    jobs = f", {speed['samples']} jobs" if speed["samples"] else ""
    known = "not known, counts as 1" if speed["value"] is None else f"{speed['value']:.2f}"
    return f"{known} ({speed['provenance'] or 'assumed'}{jobs})"


def _known(shown: str, figure: dict[str, Any]) -> str:
    return f"{shown} ({figure['provenance']})"


def _print_jobs(jobs: list[dict[str, Any]], *, verbose: bool) -> None:
    headings = ("job", "name", "phase", "user", "tenant", "priority", "workers", "nodes", "age", *(("why",) if verbose else ()))
    print_table(headings, [_row(job, verbose=verbose) for job in jobs])


def _row(job: dict[str, Any], *, verbose: bool) -> tuple[object, ...]:
    from bedplate.core.units import format_duration

    age = format_duration(max(0.0, time.time() - job["submitted_at_s"]))
    error = (job["error"] or {}).get("error")
    why = (error or job["why"],) if verbose else ()
    return (
        job["id"],
        job["name"],
        job["phase"],
        job["user"],
        job["tenant"],
        job["priority"],
        f"{job['workers']}/{job['request']['workers']}",
        job["nodes"],
        age,
        *why,
    )
