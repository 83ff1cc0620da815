"""`bedplate compute`: the devices of this machine, and what-if questions to the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.compute.simulate import Settings
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.compute.simulate import PackingResult


@click.group(cls=Group)
def command() -> None:
    """Inventory of devices, published figures of their models, placement policies on a trace.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute simulate --nodes nodes.csv --pods pods.csv
    """


@command.command()
@click.option(
    "--engine", metavar="URL", help="List the machines of an engine instead: ray://HOST:PORT, ray://auto, ray-local …"
)
@click.option(
    "--timeout", default="60s", show_default=True, help="With --engine: a machine that is silent for so long is skipped."
)
@output_option
def inventory(engine: str | None, timeout: str, output: str) -> None:
    """List the devices of this machine that this process may use, as the system describes them (`doctor` measures).

    With --engine: those of every machine of a cluster, each read there; nothing is run or written. A machine that does not
    answer is listed with its trouble.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute inventory --engine ray://10.0.0.1:6379
    """
    if engine is not None:
        _print_cluster(engine, timeout, output)
        return
    from bedplate.app.compute.inventory import take_inventory
    from bedplate.core.units import format_bytes

    found = take_inventory()
    for trouble in found.troubles:
        note(f"probe '{trouble.probe}' is {trouble.kind}: {trouble.message}")
    if output == "json":
        print_json({"devices": [device.as_json() for device in found.devices]})
        return
    print_table(
        ("device", "kind", "vendor", "model", "cores", "memory", "features"),
        [
            (
                device.id,
                device.kind,
                device.vendor,
                device.model,
                len(device.cores),
                format_bytes(device.memory_bytes),
                " ".join(device.features),
            )
            for device in found.devices
        ],
    )


def _print_cluster(engine: str, timeout: str, output: str) -> None:
    from bedplate.app.compute.cluster_inventory import cluster_inventory
    from bedplate.core.units import format_bytes, parse_duration

    found = cluster_inventory(engine, parse_duration(timeout))
    for node in found.nodes:
        for trouble in node.troubles:
            note(f"node '{node.id}': {trouble}")
    if output == "json":
        print_json(found.as_json())
        return
    print_table(
        ("node", "device", "kind", "vendor", "model", "cores", "memory"),
        [
            (node.id, device.id, device.kind, device.vendor, device.model, len(device.cores), format_bytes(device.memory_bytes))
            for node in found.nodes
            for device in node.devices
        ]
        + [(node.id, "", "", "", "no answer", 0, "") for node in found.nodes if not node.has_answered],
    )


@command.command()
@click.argument("word", required=False)
@output_option
def models(word: str | None, output: str) -> None:
    """List the device models whose figures are published: memory, bandwidth, dense peak rates, power, and each one's source.

    WORD is a model or family. A speed is relative to an A100 (SXM, 80 GB), as the figures let expect it: jobs correct it.

    \b
    Examples:
      bedplate compute models
      bedplate compute models 910B -o json
    """
    from bedplate.app.compute.models import known_models

    found = known_models(word)
    if output == "json":
        print_json({"models": [model.as_json() for model in found]})
        return
    headings = ("model", "vendor", "year", "memory", "GB/s", "fp32", "fp16", "bf16", "fp8", "W", "training", "decode")
    print_table(headings, [model.as_row() for model in found], title="published figures; TFLOP/s, dense")


@command.command()
@settings_options(Settings)
@output_option
def simulate(settings: dict[str, Any], output: str) -> None:
    """Pack the pods of a trace onto nodes, one by one, and show how much of the devices a placement policy can allocate.

    The traces are CSV files as in Alibaba's cluster-trace-gpu-v2023. Pods are shuffled, brought to `--tune` times the capacity
    and never leave; one that fits nowhere is skipped. Allocation is that of the devices when the demand that arrived equals
    their capacity. No policy exceeds the bound, which knows every arrival and may divide requests.

    \b
    Examples:
      bedplate compute simulate --nodes nodes.csv --pods pods.csv
      bedplate compute simulate --nodes nodes.csv --pods pods.csv --policy fgd --seeds 42:45 -o json
    """
    from bedplate.app.compute.simulate import simulate as answer
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    result = answer(read_settings(Settings, settings), TerminalReporter())
    if output == "json":
        print_json(result.as_json())
    else:
        _print_packing(result)


def _print_packing(result: PackingResult) -> None:
    from bedplate.core.units import format_duration

    rows = [
        (
            run.seed,
            _percent(run.allocation_frac),
            _percent(run.bound_frac),
            run.num_arrived,
            run.num_skipped,
            format_duration(run.seconds),
        )
        for run in result.runs
    ]
    title = f"{result.num_devices} devices, policy '{result.runs[0].policy}', simulated"
    print_table(["seed", "allocated", "bound", "arrived", "skipped", "time"], rows, title=title)
    note(f"mean allocation {_percent(result.mean_allocation_frac)}")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
