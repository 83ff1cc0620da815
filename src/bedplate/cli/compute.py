"""`bedplate compute`: the devices of this machine, and what-if questions to the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.compute.inventory import Settings as InventorySettings
from bedplate.app.compute.simulate import Settings
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.compute.simulate import PackingResult


@click.group(cls=Group)
def command() -> None:
    """Inventory of devices; placement policies on a trace.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute simulate --nodes nodes.csv --pods pods.csv
    """


@command.command()
@settings_options(InventorySettings, names={"files": "--from"})
@output_option
def inventory(settings: dict[str, Any], output: str) -> None:
    """List the devices of this machine that this process may use, as the system describes them (`doctor` measures).

    With --from, read the devices of another machine from what a vendor's tool printed there: nvidia-smi, npu-smi, amd-smi,
    rocm-smi, hy-smi, cnmon, mx-smi, mthreads-gmi, ixsmi, xpu-smi. docs/inventory.md says which commands.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute inventory --from info.txt --tool npu-smi
      nvidia-smi -q -x | bedplate compute inventory --from -
    """
    from bedplate.app.compute.inventory import HEADINGS, rows_of_devices
    from bedplate.app.compute.inventory import inventory as take
    from bedplate.core.settings import read_settings

    found = take(read_settings(InventorySettings, settings))
    for trouble in found.troubles:
        note(f"probe '{trouble.probe}' is {trouble.kind}: {trouble.message}")
    if output == "json":
        print_json(found.as_json())
        return
    print_table(HEADINGS, rows_of_devices(found.devices))
    for device in found.devices:
        for finding in device.health.findings:
            note(f"{device.id} is {device.health.state.value}: {finding}")


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
