"""`bedplate model`: models into the cache, so that nothing later needs the network; which there are."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.toolchain.models.fetch import Settings
from bedplate.cli.terminal.cache_table import print_entries
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options


@click.group("model", cls=Group)
def command() -> None:
    """Models: which there are, and into the cache with them.

    \b
    Examples:
      bedplate model list
      bedplate model fetch smollm2-135m-instruct
    """


@command.command("list")
@output_option
def list_(output: str) -> None:
    """List the models that can be fetched by name, and those in the cache, with sizes and licences.

    A hub id like org/name can be fetched too; it is listed once it is in the cache.

    \b
    Examples:
      bedplate model list
      bedplate model list -o json
    """
    from bedplate.app.toolchain.listing import list_models

    print_entries("models", list_models(), output)


@command.command("fetch")
@click.argument("name")
@click.option("--download-only", is_flag=True, help="Only download; a later step unpacks without the network.")
@click.option("--with-text", is_flag=True, help="Also download the sample text of the demo.")
@settings_options(Settings, without=("model",))
@output_option
def fetch(name: str, download_only: bool, with_text: bool, settings: dict[str, Any], output: str) -> None:
    """Fetch NAME: a catalog name, a hub id like org/name, or a folder to check.

    A complete model that is already in the cache is not fetched again.

    \b
    Examples:
      bedplate model fetch smollm2-135m-instruct
      bedplate model fetch smollm2-135m-instruct --verify -o json
    """
    from pathlib import Path

    from bedplate.app.pipeline.file.inputs import resolve_inputs
    from bedplate.app.toolchain.models.standalone import fetch_model
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    written = resolve_inputs(Settings, {"model": name, **settings}, Path.cwd(), has_references=False)
    result = fetch_model(
        read_settings(Settings, written), download_only=download_only, with_text=with_text, reporter=TerminalReporter()
    )
    if output == "json":
        print_json(result)
    else:
        print_table(("what", "value"), list(result.items()))
