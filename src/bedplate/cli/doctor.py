"""`bedplate doctor`: what is on this machine, what is missing, how to fix it."""

from __future__ import annotations

import click

from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.state_option import state_option


@click.command()
@click.option(
    "--measure/--no-measure", default=True, help="Measure each device (a few seconds each), or show what was measured last."
)
@click.option("--budget", default="5s", show_default=True, help="Time for the measurements of one device.")
@state_option
@output_option
def command(measure: bool, budget: str, state: str | None, output: str) -> int:
    """Show the devices of this machine with their measured rates, and check what bedplate needs.

    A rate with a question mark was measured while other work took part of the machine; it is not stored.
    Exit code 4 when a check fails.
    """
    from bedplate.app.compute.doctor import examine, rows_of_rates
    from bedplate.core.errors import CheckFailedError
    from bedplate.core.units import parse_duration

    report = examine(measure=measure, budget_s=parse_duration(budget), state=state, say=note)
    if output == "json":
        print_json(report.as_json())
    else:
        headings = ("device", "model", "cores", "fp32 GFLOP/s", "bf16 GFLOP/s", "int8 GOP/s", "copy GB/s")
        print_table(headings, rows_of_rates(report.devices))
        print_table(("check", "status", "seen", "fix"), [(c.name, c.status, c.seen, c.fix) for c in report.checks])
    return 0 if report.is_well else CheckFailedError.exit_code
