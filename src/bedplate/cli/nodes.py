"""`bedplate nodes`: nodes of the service."""

from __future__ import annotations

import click

from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.service_option import connected, page_options, service_options


@click.group("nodes", cls=Group, invoke_without_command=True)
@click.option("--only", type=click.Choice(["usable", "drained", "lost"]), help="Only nodes in this state.")
@page_options("name", "-name")
@service_options
@output_option
@click.pass_context
def command(
    context: click.Context,
    only: str | None,
    limit: int,
    order: str,
    cursor: str | None,
    url: str | None,
    state: str | None,
    output: str,
) -> None:
    """List the nodes of the service: what they have, what is free, what runs there; or drain one.

    \b
    Examples:
      bedplate nodes
      bedplate nodes drain node-3 --reason "a fan is loud"
      bedplate nodes undrain node-3
    """
    if context.invoked_subcommand is not None:
        return
    page = connected(url, state).nodes(state=only, order=order, limit=limit, cursor=cursor)
    if output == "json":
        print_json(page)
        return
    rows = [
        (
            node["id"],
            node["state"],
            f"{node['free_cores']}/{node['cores']}",
            node["accelerators"],
            node["num_jobs"],
            node["jobs"],
            "" if node["drain"] is None else f"{node['drain']['reason']} ({node['drain']['by']})",
        )
        for node in page["nodes"]
    ]
    print_table(("node", "state", "free cores", "accelerators", "jobs", "which", "drained"), rows)
    if page["next"]:
        note(f"more: --cursor {page['next']}")


@command.command("drain")
@click.argument("node")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for people.")
@service_options
@output_option
def drain(node: str, reason: str, url: str | None, state: str | None, output: str) -> None:
    """Place nothing new on NODE; what runs there goes on.

    \b
    Example:
      bedplate nodes drain node-3 --reason "a fan is loud"
    """
    answer = connected(url, state).drain(node, reason)
    if output == "json":
        print_json(answer)
    else:
        note(f"{node}: drained")


@command.command("undrain")
@click.argument("node")
@service_options
@output_option
def undrain(node: str, url: str | None, state: str | None, output: str) -> None:
    """Use NODE again.

    \b
    Example:
      bedplate nodes undrain node-3
    """
    answer = connected(url, state).undrain(node)
    if output == "json":
        print_json(answer)
    else:
        note(f"{node}: usable")
