"""`bedplate compute`: the devices of this machine."""

from __future__ import annotations

import click

from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table


@click.group(cls=Group)
def command() -> None:
    """Inventory of devices.

    \b
    Example:
      bedplate compute inventory -o json
    """


@command.command()
@output_option
def inventory(output: str) -> None:
    """List the devices of this machine that this process may use, as the system describes them (`doctor` measures).

    \b
    Example:
      bedplate compute inventory -o json
    """
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
