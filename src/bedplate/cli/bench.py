"""`bedplate bench`: measurements under load."""

from __future__ import annotations

import json
from typing import Any

import click

from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.state_option import state_option


@click.group()
def command() -> None:
    """Measure serving under load."""


@command.command()
@click.option("--model", required=True, help="Model folder, or the name of a fetched model.")
@click.option("--streams", type=click.IntRange(1), default=6, show_default=True, help="Requests in flight; sessions of a chat.")
@click.option("--prompt-tokens", type=click.IntRange(1), help="New tokens of a prompt (chat 250, documents 50, plain 64).")
@click.option("--output-tokens", type=click.IntRange(1), default=16, show_default=True, help="Tokens of each answer.")
@click.option("--load", default="plain", show_default=True, help="plain, chat, documents, or a FILE of JSON lines.")
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True, help="Turns of a chat; prompts of a stream.")
@click.option("--shared-tokens", type=click.IntRange(0), help="Common system prompt (1000); length of a document (3000).")
@click.option("--kv", type=click.Choice(["off", "on"]), multiple=True, help="KV memory; give both to compare. Default: off.")
@click.option("--memory", default="1GB", show_default=True, help="KV memory tier.")
@click.option("--max-batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Sequences that run at once.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same prompts.")
@click.option("--vs", "peer", metavar="URL", help="A running OpenAI-compatible server to measure on the same load.")
@state_option
@output_option
def serve(
    model: str,
    streams: int,
    prompt_tokens: int | None,
    output_tokens: int,
    load: str,
    turns: int,
    shared_tokens: int | None,
    kv: tuple[str, ...],
    memory: str,
    max_batch: int,
    seed: int,
    peer: str | None,
    state: str | None,
    output: str,
) -> None:
    """Serve a model from a fresh process and measure it over HTTP, the client in a process of its own."""
    step = {
        "use": "bench.serve",
        "model": model,
        "load": load,
        "kv": list(kv) or ["off"],
        "streams": streams,
        "turns": turns,
        "shared_tokens": shared_tokens if shared_tokens is not None else 3000 if load == "documents" else 1000,
        "prompt_tokens": prompt_tokens or {"chat": 250, "documents": 50}.get(load, 64),
        "output_tokens": output_tokens,
        "memory": memory,
        "max_batch": max_batch,
        "seed": seed,
        "vs": peer,
    }
    document = _run(step, state)
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
