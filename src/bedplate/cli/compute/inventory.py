"""`bedplate compute inventory`: devices of this machine, of a saved output, or of a cluster."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.compute.inventory import Settings
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options


@click.command("inventory")
@settings_options(Settings, names={"files": "--from"})
@click.option(
    "--engine", metavar="URL", help="List the machines of an engine instead: ray://HOST:PORT, ray://auto, ray-local …"
)
@click.option(
    "--timeout", default="60s", show_default=True, help="With --engine: a machine that is silent for so long is skipped."
)
@output_option
def inventory(settings: dict[str, Any], engine: str | None, timeout: str, output: str) -> None:
    """List the devices of this machine that this process may use, as the system describes them (`doctor` measures).

    With --from, read the devices of another machine from what a vendor's tool printed there: nvidia-smi, npu-smi, amd-smi,
    rocm-smi, hy-smi, cnmon, mx-smi, mthreads-gmi, ixsmi, xpu-smi. docs/inventory.md says which commands.

    With --engine: those of every machine of a cluster, each read there; nothing is run or written. A machine that does not
    answer is listed with its trouble.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute inventory --from info.txt --tool npu-smi
      nvidia-smi -q -x | bedplate compute inventory --from -
      bedplate compute inventory --engine ray://10.0.0.1:6379
    """
    from bedplate.core.errors import UsageError

    if engine is None:
        _print_devices(settings, output)
    elif settings:
        raise UsageError("--engine asks the machines themselves", seen="--from or --tool", expected="one or the other")
    else:
        _print_cluster(engine, timeout, output)


def _print_devices(settings: dict[str, Any], output: str) -> None:
    from bedplate.app.compute.inventory import HEADINGS, rows_of_devices
    from bedplate.app.compute.inventory import inventory as take
    from bedplate.core.settings import read_settings

    found = take(read_settings(Settings, settings))
    for trouble in found.troubles:
        note(f"probe '{trouble.probe}' is {trouble.kind}: {trouble.message}")
    if output == "json":
        print_json(found.as_json())
        return
    print_table(HEADINGS, rows_of_devices(found.devices))
    for device in found.devices:
        for finding in device.health.findings:
            note(f"{device.id} is {device.health.state.value}: {finding}")


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
