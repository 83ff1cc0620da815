"""`bedplate users`: who may use the service."""

from __future__ import annotations

import click

from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.service_option import connected, page_options, service_options

_ROLES = ("user", "viewer", "operator", "admin")


@click.group("users", cls=Group, invoke_without_command=True)
@page_options("name", "-name")
@service_options
@output_option
@click.pass_context
def command(
    context: click.Context,
    limit: int,
    order: str,
    cursor: str | None,
    url: str | None,
    state: str | None,
    output: str,
) -> None:
    """List the users of the service; add one, remove one, or make another token.

    Roles: admin (everything), operator (sees and cancels every job, drains nodes), user (submits to own tenants, sees and
    cancels own jobs), viewer (sees the jobs of own tenants).

    \b
    Examples:
      bedplate users add alice --role user --tenant research/vision
      bedplate users token alice
    """
    if context.invoked_subcommand is not None:
        return
    page = connected(url, state).users(order=order, limit=limit, cursor=cursor)
    if output == "json":
        print_json(page)
        return
    print_table(("user", "role", "tenants"), [(user["name"], user["role"], user["tenants"]) for user in page["users"]])
    if page["next"]:
        note(f"more: --cursor {page['next']}")


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="user", show_default=True, help="What the user may do.")
@click.option("--tenant", metavar="TENANT", multiple=True, help="Belongs to it and all below it; may be repeated.")
@service_options
@output_option
def add(name: str, role: str, tenant: tuple[str, ...], url: str | None, state: str | None, output: str) -> None:
    """Add the user NAME, and show the token, this once.

    \b
    Example:
      bedplate users add alice --role user --tenant research/vision
    """
    answer = connected(url, state).add_user(name, role=role, tenants=tenant)
    if output == "json":
        print_json(answer)
        return
    note(f"{name}: added as {role}; the token, shown this once (BEDPLATE_TOKEN):")
    print(answer["token"])


@command.command("token")
@click.argument("name")
@service_options
@output_option
def token(name: str, url: str | None, state: str | None, output: str) -> None:
    """Make another token for NAME; the one before is no longer valid.

    \b
    Example:
      bedplate users token alice
    """
    answer = connected(url, state).renew_token(name)
    if output == "json":
        print_json(answer)
    else:
        print(answer["token"])


@command.command("remove")
@click.argument("name")
@service_options
@output_option
def remove(name: str, url: str | None, state: str | None, output: str) -> None:
    """Take the rights of NAME; the user's jobs go on.

    \b
    Example:
      bedplate users remove alice
    """
    answer = connected(url, state).remove_user(name)
    if output == "json":
        print_json(answer)
    else:
        note(f"{name}: removed")
