"""`bedplate text`: sample texts to train and evaluate on."""

from __future__ import annotations

import click

from bedplate.cli.terminal.cache_table import print_entries
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import output_option, print_json, print_table


@click.group("text", cls=Group)
def command() -> None:
    """Sample texts: which there are, and into the cache with them.

    \b
    Example:
      bedplate text list
    """


@command.command("list")
@output_option
def list_(output: str) -> None:
    """List the texts that can be fetched by name, and which of them are in the cache.

    \b
    Examples:
      bedplate text list
      bedplate text list -o json
    """
    from bedplate.app.toolchain.listing import list_texts

    print_entries("texts", list_texts(), output)


@command.command("fetch")
@click.argument("name")
@output_option
def fetch(name: str, output: str) -> None:
    """Fetch the text NAME, so that a `data.text` step needs no network. One that is in the cache is not fetched again.

    \b
    Example:
      bedplate text fetch wikipedia-sample
    """
    from bedplate.app.toolchain.data.standalone import fetch_text
    from bedplate.cli.terminal.progress import TerminalReporter

    result = fetch_text(name, TerminalReporter())
    if output == "json":
        print_json(result)
    else:
        print_table(("what", "value"), list(result.items()))
