"""`bedplate bench`: measurements under load."""

from __future__ import annotations

from typing import Any

import click

from bedplate.app.toolchain.serve.bench import Settings
from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.model_argument import model_argument
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import state_option


@click.group(cls=Group)
def command() -> None:
    """Measure serving under load.

    \b
    Example:
      bedplate bench serve smollm2-135m-instruct --load chat --kv off --kv on
    """


@command.command()
@model_argument
@settings_options(Settings, without=("model",))
@state_option
@output_option
def serve(model: str, settings: dict[str, Any], state: str | None, output: str) -> None:
    """Serve MODEL from a fresh process and measure it over HTTP from a separate client process.

    \b
    Examples:
      bedplate bench serve --model ./my-model --streams 8 --prompt-tokens 512 --output-tokens 64
      bedplate bench serve smollm2-135m-instruct --load chat --kv off --kv on -o json
    """
    from bedplate.app.toolchain.serve.standalone import bench_here
    from bedplate.cli.terminal.watching import open_watcher

    watcher = open_watcher(explain=False)
    try:
        document = bench_here({"model": model, **settings}, state=state, watcher=watcher)
    finally:
        watcher.close()
    if output == "json":
        print_json(document)
        return
    print_table(
        ("engine", "KV memory", "requests/s", "tokens/s", "TTFT p50 s", "TTFT p99 s", "TPOT p50 s", "prompt from memory"),
        [
            (
                result["engine"],
                result["kv"] or "",
                f"{result['requests_per_s']:.3f}",
                f"{result['tokens_per_s']:.1f}",
                f"{result['ttft_s']['p50']:.3f}",
                f"{result['ttft_s']['p99']:.3f}",
                "" if result["tpot_s"]["p50"] is None else f"{result['tpot_s']['p50']:.4f}",
                "" if result["hit_frac"] is None else f"{result['hit_frac']:.0%}",
            )
            for result in document["results"]
        ],
        title=document["scale"],
    )
