"""`bedplate quota`: what tenants may have, and what they hold."""

from __future__ import annotations

from typing import Any

import click

from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.service_option import connected, page_options, service_options


@click.group("quota", cls=Group, invoke_without_command=True)
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
    """List tenants: what each is guaranteed, may hold at most, and holds now; or set it.

    Amounts are accelerators by model, equivalence units over all of them ('any'), or cores ('cpu'). What a tenant is guaranteed
    and does not use, others borrow until it is wanted.

    \b
    Examples:
      bedplate quota
      bedplate quota set research/vision --guaranteed H100=8 --limit H100=16 --weight 2
      bedplate quota remove research/vision
    """
    if context.invoked_subcommand is not None:
        return
    page = connected(url, state).quota(order=order, limit=limit, cursor=cursor)
    if output == "json":
        print_json(page)
        return
    rows = [
        (item["tenant"], _amounts(item["guaranteed"]), _amounts(item["limit"]), item["weight"], _amounts(item["used"]))
        for item in page["quotas"]
    ]
    print_table(("tenant", "guaranteed", "limit", "weight", "holds"), rows)
    if page["next"]:
        note(f"more: --cursor {page['next']}")


@command.command("set")
@click.argument("tenant")
@click.option("--guaranteed", metavar="WHAT=NUMBER", multiple=True, help="What it gets whenever it wants it; may be repeated.")
@click.option("--limit", "limits", metavar="WHAT=NUMBER", multiple=True, help="The most that it may hold; may be repeated.")
@click.option("--weight", type=float, default=1.0, show_default=True, help="Its part of what is shared fairly.")
@service_options
@output_option
def set_quota(
    tenant: str,
    guaranteed: tuple[str, ...],
    limits: tuple[str, ...],
    weight: float,
    url: str | None,
    state: str | None,
    output: str,
) -> None:
    """Set what TENANT may have, in the place of what was set before.

    \b
    Example:
      bedplate quota set research/vision --guaranteed H100=8 --guaranteed cpu=64
    """
    service = connected(url, state)
    answer = service.set_quota(
        tenant, guaranteed=_read("--guaranteed", guaranteed), limit=_read("--limit", limits), weight=weight
    )
    if output == "json":
        print_json(answer)
    else:
        note(f"{tenant}: set")


@command.command("remove")
@click.argument("tenant")
@service_options
@output_option
def remove(tenant: str, url: str | None, state: str | None, output: str) -> None:
    """Guarantee TENANT nothing, and limit it no more.

    \b
    Example:
      bedplate quota remove research/vision
    """
    answer = connected(url, state).remove_quota(tenant)
    if output == "json":
        print_json(answer)
    else:
        note(f"{tenant}: removed")


def _read(option: str, words: tuple[str, ...]) -> dict[str, float]:
    from bedplate.core.errors import UsageError

    read: dict[str, float] = {}
    for word in words:
        name, _, amount = word.rpartition("=")
        try:
            number = float(amount)
        except ValueError:
            number = -1.0
        if not name or name in read or not 0 <= number < 1e12:
            raise UsageError(f"{option} is not understood", seen=word, expected="each WHAT once, like H100=8, any=40 or cpu=64")
        read[name] = number
    return read


def _amounts(amounts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number:g}" for name, number in sorted(amounts.items()))
