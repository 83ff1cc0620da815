"""`bedplate ops`: screening of this machine, outside a pipeline."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.operations.preflight import Settings
from bedplate.cli.terminal.group import Group, WholeNumber
from bedplate.cli.terminal.lang_option import lang_option
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options


@click.group(cls=Group)
def command() -> None:
    """Screen devices before a job.

    \b
    Example:
      bedplate ops preflight --min-slots 2
    """


@command.command()
@settings_options(Settings)
@click.option("--cores-per-slot", default=1, show_default=True, type=WholeNumber(1), help="Cores per slot.")
@click.option(
    "--min-slots",
    default=1,
    show_default=True,
    type=WholeNumber(1),
    help="Minimum number of good slots, else exit code 4.",
)
@lang_option
@output_option
def preflight(settings: dict[str, Any], cores_per_slot: int, min_slots: int, output: str) -> None:
    """Measure the slots of this machine against each other, pair them up, and test the stores.

    Exits with 4 if too few good slots are left, or if a store cannot be used.

    \b
    Examples:
      bedplate ops preflight
      bedplate ops preflight --budget 3s --cores-per-slot 4 -o json
    """
    from bedplate.app.operations.preflight import screen_this_machine
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings
    from bedplate.locale.catalogue import in_language
    from bedplate.locale.languages import choose_language

    read = read_settings(Settings, settings)
    result = screen_this_machine(read, cores_per_slot=cores_per_slot, min_slots=min_slots, reporter=TerminalReporter())
    if output == "json":
        print_json({**result.outputs, "measurements": [item.as_json() for item in result.measurements]})
        return
    language = choose_language()
    for table in result.tables:
        title = ": ".join(in_language(words, language) for words in (table.title, table.details) if words)
        print_table([in_language(column, language) for column in table.columns], table.rows, title=title)
