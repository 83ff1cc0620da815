"""`bedplate bench`: measurements under load."""

from __future__ import annotations

import json
from typing import Any

import click

from bedplate.app.toolchain.serve.bench import Settings
from bedplate.cli.terminal.model_argument import model_argument
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import state_option


@click.group()
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
    """Serve MODEL from a fresh process and measure it over HTTP, the client in a process of its own.

    \b
    Examples:
      bedplate bench serve --model ./my-model --streams 8 --prompt-tokens 512 --output-tokens 64
      bedplate bench serve smollm2-135m-instruct --load chat --kv off --kv on -o json
    """
    step = {"use": "bench.serve", "model": model, **settings}
    document = _run(step, state)
    if output == "json":
        print_json(document)
        return
    print_table(
        ("KV memory", "requests/s", "tokens/s", "TTFT p50 s", "TTFT p99 s", "TPOT p50 s", "prompt from memory"),
        [
            (
                result["kv"],
                f"{result['requests_per_s']:.3f}",
                f"{result['tokens_per_s']:.1f}",
                f"{result['ttft_s']['p50']:.3f}",
                f"{result['ttft_s']['p99']:.3f}",
                "" if result["tpot_s"]["p50"] is None else f"{result['tpot_s']['p50']:.4f}",
                f"{result['hit_frac']:.0%}",
            )
            for result in document["results"]
        ],
        title=document["scale"],
    )


def _run(step: dict[str, object], state: str | None) -> dict[str, Any]:
    from bedplate.app.api import run
    from bedplate.cli.terminal.watching import open_watcher

    watcher = open_watcher(explain=False)
    try:
        outcome = run({"version": 1, "name": "bench-serve", "steps": {"bench": step}}, new=True, state=state, watcher=watcher)
    finally:
        watcher.close()
    file = outcome.path_of("bench")
    assert file is not None
    return {**json.loads(file.read_text()), "measurements": [item.as_json() for item in outcome.measurements]}
