"""`bedplate compute`: the devices of this machine, and what-if questions to the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bedplate.app.compute.forecast import Settings as ForecastSettings
from bedplate.app.compute.simulate import Settings
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.compute.forecast import ForecastResult
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


@command.command()
@settings_options(ForecastSettings)
@output_option
def forecast(settings: dict[str, Any], output: str) -> None:
    """Forecast a demand series over its last days, as if they came one by one, beside the naive forecasts.

    MASE is the mean absolute error over that of yesterday's value in the training part, for ours and the naive ones alike;
    intervals are the quantiles 0.1 and 0.9. A model is shipped only where it beat every naive forecast in the back-test.

    \b
    Examples:
      bedplate compute forecast --series demand.csv --column gpus --horizon 3h --test-days 7
      bedplate compute forecast --series a.csv.gz --series b.csv.gz --column running+pending --horizon 1h,24h -o json
    """
    from bedplate.app.compute.forecast import forecast as answer
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    result = answer(read_settings(ForecastSettings, settings), TerminalReporter())
    if output == "json":
        print_json(result.as_json())
    else:
        _print_forecast(result)


def _print_forecast(result: ForecastResult) -> None:
    from bedplate.core.units import format_duration

    rows = [
        (
            series.name,
            format_duration(item.horizon_s),
            item.choice.model,
            _figure(item.mase),
            *(_figure(item.naive_mase[name]) for name in ("persistence", "day", "week")),
            _figure(item.pinball),
            "" if item.coverage_80_frac is None else _percent(item.coverage_80_frac),
        )
        for series in result.series
        for item in series.horizons
    ]
    headings = ("series", "horizon", "model", "MASE", "persistence", "day", "week", "pinball", "80 % covers")
    print_table(headings, rows, title="last days of the trace, replayed")


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g}"


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
