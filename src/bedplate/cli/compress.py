"""`bedplate compress MODEL --scheme NAME --out DIR`: compress a model and report the quality loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bedplate.app.toolchain.compress import Settings
from bedplate.cli.terminal.model_argument import model_argument
from bedplate.cli.terminal.output import output_option, print_json, print_table
from bedplate.cli.terminal.settings_options import settings_options

if TYPE_CHECKING:
    from bedplate.app.toolchain.compress import CompressionResults


@click.command("compress")
@model_argument
@settings_options(Settings, without=("model",), names={"schemes": "--scheme"})
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to write the model; with several schemes, one subfolder for each.",
)
@output_option
def command(model: str, settings: dict[str, Any], out: Path, output: str) -> None:
    """Compress MODEL (a folder, or the name of a fetched model) and measure size, perplexity, divergence and decoding speed.

    Exits with 4 and writes no result if perplexity rises above --max-perplexity-rise.

    \b
    Example:
      bedplate compress smollm2-135m-instruct --scheme int8 --out ./smollm2-int8
    """
    from bedplate.app.pipeline.file.inputs import resolve_inputs
    from bedplate.app.toolchain.compress import as_json
    from bedplate.app.toolchain.standalone import compress_here
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    written = resolve_inputs(Settings, {"model": model, **settings}, Path.cwd(), has_references=False)
    results = compress_here(read_settings(Settings, written), out, TerminalReporter())
    if output == "json":
        print_json(as_json(results))
    else:
        _print_results(results)


def _print_results(results: CompressionResults) -> None:
    from bedplate.core.units import format_bytes

    rows = [
        (
            row.name,
            format_bytes(row.size_bytes),
            f"{row.perplexity:.3f}",
            f"{row.kl_to_base:.4f}",
            f"{row.top1_agreement_frac:.1%}",
            f"{row.tokens_per_s_b1:.1f}",
            f"{row.tokens_per_s_b8:.1f}",
        )
        for row in (results.base, *results.schemes)
    ]
    headings = ("scheme", "size", "perplexity", "KL to base (nats)", "same first token", "tokens/s b1", "tokens/s b8")
    print_table(headings, rows, title=f"{results.tokens} tokens of {results.text}, windows of {results.context}")
