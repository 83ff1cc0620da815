"""`bedplate doctor`: what is on this machine, what is missing, how to fix it."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.compute.doctor import Settings
from bedplate.cli.terminal.output import note, output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import state_option


@click.command()
@settings_options(Settings)
@state_option
@output_option
def command(settings: dict[str, Any], state: str | None, output: str) -> int:
    """Show the devices of this machine with their measured rates, and check what bedplate needs.

    A rate marked with ? was measured while other work used the machine; it is not stored.
    Exits with 4 if a check fails.

    \b
    Examples:
      bedplate doctor
      bedplate doctor --no-measure -o json
    """
    from bedplate.app.compute.doctor import examine, rows_of_rates
    from bedplate.core.errors import CheckFailedError
    from bedplate.core.settings import read_settings

    report = examine(read_settings(Settings, settings), state=state, say=note)
    if output == "json":
        print_json(report.as_json())
    else:
        headings = ("device", "model", "cores", "fp32 GFLOP/s", "bf16 GFLOP/s", "int8 GOP/s", "copy GB/s")
        print_table(headings, rows_of_rates(report.devices))
        print_table(("check", "status", "seen", "fix"), [(c.name, c.status, c.seen, c.fix) for c in report.checks])
    return 0 if report.is_well else CheckFailedError.exit_code
