"""`bedplate network`: questions to a simulated fabric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.network.simulate import Settings
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.network.simulate import ScenarioResult

_NAMES = {"num_queue_pairs": "--qps", "failed_links": "--fail"}


@click.group(cls=Group)
def command() -> None:
    """Simulate fabrics: the bandwidth of each flow under hash ECMP, planned paths and spraying.

    \b
    Example:
      bedplate network simulate --topology leaf-spine:8x8 --traffic ring-shift --balance planned
    """


@command.command()
@settings_options(Settings, names=_NAMES)
@output_option
def simulate(settings: dict[str, Any], output: str) -> None:
    """Simulate steady traffic over a fabric, at flow level: max-min fair rates, no packets.

    Flows are fractions of their NIC's rate; links are the directed links between switches that are up. The bound is the best
    worst-flow share that any paths allow, splitting included. With one path per flow and a link down, no plan reaches it:
    see --qps. A planned flow with several queue pairs sends unequal shares, paced at the sender.

    \b
    Examples:
      bedplate network simulate --topology leaf-spine:8x8 --traffic ring-shift --balance ecmp --seed 3
      bedplate network simulate --topology leaf-spine:16x16 --traffic permutation:7 --balance planned \\
        --fail leaf0-spine1 --qps 4
    """
    from bedplate.app.network.simulate import simulate as answer
    from bedplate.core.settings import read_settings

    result = answer(read_settings(Settings, settings))
    if output == "json":
        print_json(result.as_json())
    else:
        _print_result(result)


def _print_result(result: ScenarioResult) -> None:
    load = result.load
    rows = [
        ("flows", _percent(load.mean_flow_frac), "worst", _percent(load.worst_flow_frac), "of the NIC's rate"),
        ("fabric links", _percent(load.mean_link_frac), "hottest", _percent(load.max_link_frac), "of their capacity"),
        ("bound", "", "worst", _percent(result.bound_frac), "of the NIC's rate, by any paths"),
    ]
    flows, fabric = len(load.routes.flows), load.routes.fabric.topology
    title = f"{flows} flows on {fabric.name}, {result.scenario.balance}, {load.most_queue_pairs} queue pair(s) per flow at most"
    print_table(["simulated", "mean", "", "extreme", "unit"], rows, title=title)
    if stuck := int((~load.routes.is_routable).sum()):
        note(f"{stuck} of {flows} flows have no live path and get nothing")
    note(f"simulated in {result.seconds:.3g} s; nothing here was measured on a network")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
