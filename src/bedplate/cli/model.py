"""`bedplate model fetch NAME`: a model into the cache, so that nothing later needs the network."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.toolchain.models.fetch import Settings
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options


@click.group("model")
def command() -> None:
    """Models in the cache.

    \b
    Example:
      bedplate model fetch smollm2-135m-instruct
    """


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
