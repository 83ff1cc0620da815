"""`bedplate compute models`: published figures of known device models."""

from __future__ import annotations

import click

from bedplate.cli.terminal.output import note, output_option, print_json, print_table


@click.command("models")
@click.argument("word", required=False)
@output_option
def models(word: str | None, output: str) -> None:
    """List the device models whose figures are published: memory, bandwidth, dense peak rates, power, and each one's source.

    WORD is a model, family or vendor. A speed is relative to an A100 (SXM, 80 GB), as the figures let expect it: jobs
    correct it. A figure that ends in ? was not found in anything that was read: take it for a guess.

    \b
    Examples:
      bedplate compute models
      bedplate compute models 910B -o json
    """
    from bedplate.app.compute.models import known_models

    found = known_models(word)
    if output == "json":
        print_json({"models": [model.as_json() for model in found]})
        return
    headings = ("model", "vendor", "year", "memory", "GB/s", "fp32", "fp16", "bf16", "fp8", "W", "training", "decode")
    print_table(headings, [model.as_row() for model in found], title="published figures; TFLOP/s, dense")
    if any(model.capability.unconfirmed for model in found):
        note("? was not found in anything that was read; -o json says what was, and where")
