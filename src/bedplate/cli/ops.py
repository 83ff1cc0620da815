"""`bedplate ops`: screening of this machine, outside a pipeline."""

from __future__ import annotations

import click

from bedplate.cli.terminal.output import output_option, print_json, print_table


@click.group()
def command() -> None:
    """Screen devices before a job."""


@command.command()
@click.option("--budget", default="1.2s", show_default=True, help="Time to measure a slot.")
@click.option("--cores-per-slot", default=1, show_default=True, type=click.IntRange(1), help="Cores that belong together.")
@click.option(
    "--min-slots", default=1, show_default=True, type=click.IntRange(1), help="Fewest good slots; fewer is exit code 4."
)
@output_option
def preflight(budget: str, cores_per_slot: int, min_slots: int, output: str) -> None:
    """Measure the slots of this machine against each other, pair them, and try the stores.

    Exit code 4 when too few good slots are left, or when a store cannot be used.
    """
    from bedplate.app.operations.preflight import Settings, screen_this_machine
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.units import parse_duration
    from bedplate.locale.catalogue import spoken
    from bedplate.locale.languages import choose_language

    settings = Settings(budget=parse_duration(budget))
    result = screen_this_machine(settings, cores_per_slot=cores_per_slot, min_slots=min_slots, reporter=TerminalReporter())
    if output == "json":
        print_json({**result.outputs, "measurements": [item.as_json() for item in result.measurements]})
        return
    language = choose_language()
    for table in result.tables:
        title = ": ".join(spoken(words, language) for words in (table.title, table.details) if words)
        print_table([spoken(column, language) for column in table.columns], table.rows, title=title)
