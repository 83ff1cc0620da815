"""`bedplate model fetch NAME`: a model into the cache, so that nothing later needs the network."""

from __future__ import annotations

import click

from bedplate.cli.terminal.output import output_option, print_json, print_table


@click.group("model")
def command() -> None:
    """Models in the cache."""


@command.command("fetch")
@click.argument("name")
@click.option("--download-only", is_flag=True, help="Only download; a later step unpacks without the network.")
@click.option("--with-text", is_flag=True, help="Also download the sample text of the demo.")
@click.option("--verify", is_flag=True, help="Read every byte of what is in the cache instead of looking at sizes.")
@output_option
def fetch(name: str, download_only: bool, with_text: bool, verify: bool, output: str) -> None:
    """Fetch NAME: a name of the catalog, a hub id like org/name, or a folder to check.

    What is there already and whole is not fetched again.
    """
    from bedplate.cli.terminal.progress import TerminalReporter

    result: dict[str, object] = {"model": name}
    if with_text:
        from bedplate.app.toolchain.data import text as data_text
        from bedplate.toolchain.models.catalog import TEXTS

        result["texts"] = [str(data_text.download(known, TerminalReporter())) for known in TEXTS.values()]
    if download_only:
        from bedplate.app.toolchain.models import fetch as model_fetch
        from bedplate.toolchain.models.catalog import known_model

        result["file"] = str(model_fetch.download(known_model(name), TerminalReporter()))
    else:
        result |= _fetch_and_unpack(name, verify=verify)
    if output == "json":
        print_json(result)
    else:
        print_table(("what", "value"), [(key, value) for key, value in result.items()])


def _fetch_and_unpack(name: str, *, verify: bool) -> dict[str, object]:
    import tempfile
    from pathlib import Path

    from bedplate.app.pipeline.contract.standalone import standalone_context
    from bedplate.app.toolchain.models.fetch import Settings, run
    from bedplate.app.wiring import service_events
    from bedplate.cli.terminal.progress import TerminalReporter

    with (
        tempfile.TemporaryDirectory(prefix="bedplate-fetch-") as scratch,
        service_events("model") as events,
        standalone_context("model", Path(scratch), TerminalReporter(), events) as context,
    ):
        fetched = run(Settings(model=name, verify=verify), context)
    return {"folder": str(fetched.path), **fetched.outputs}
