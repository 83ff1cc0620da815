"""`bedplate compress MODEL --scheme NAME --out DIR`: a smaller model, and the table of what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bedplate.cli.terminal.output import output_option, print_json, print_table

if TYPE_CHECKING:
    from bedplate.app.toolchain.compress import CompressionResults


@click.command("compress")
@click.argument("model")
@click.option("--scheme", "schemes", multiple=True, default=("int8",), show_default=True, help="May be given several times.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Result: a model folder; with several schemes, one in it for each.",
)
@click.option("--data", default=None, help="Corpus or text to judge by; else the model's own corpus, else wikipedia-sample.")
@click.option("--tokens", default="8192", show_default=True, help="Held-out tokens to judge by.")
@click.option("--context", "window", default="1024", show_default=True, help="Tokens of a window.")
@click.option("--max-perplexity-rise", default="0.5%", show_default=True, help="Gate: above it the verb fails with code 4.")
@output_option
def command(
    model: str,
    schemes: tuple[str, ...],
    out: Path,
    data: str | None,
    tokens: str,
    window: str,
    max_perplexity_rise: str,
    output: str,
) -> None:
    """Compress MODEL (a folder, or a name in the cache) and measure size, perplexity, divergence and decoding speed."""
    import tempfile

    from bedplate.app.pipeline.contract.standalone import standalone_context
    from bedplate.app.toolchain.compress import Settings, as_json, compress
    from bedplate.app.wiring import service_events
    from bedplate.cli.terminal.progress import TerminalReporter
    from bedplate.core.settings import read_settings

    written = {"model": _folder_of(model), "schemes": list(schemes), "tokens": tokens, "context": window, "data": data}
    settings = read_settings(Settings, written | {"max_perplexity_rise": max_perplexity_rise})
    folders = {schemes[0]: out} if len(schemes) == 1 else {scheme: out / scheme for scheme in schemes}
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-compress-") as scratch,
        service_events("compress") as events,
        standalone_context("compress", Path(scratch), TerminalReporter(), events) as context,
    ):
        results = compress(settings, folders, context)
    if output == "json":
        print_json(as_json(results))
    else:
        _print_results(results)


def _folder_of(model: str) -> str:
    from bedplate.app.toolchain.models.fetch import model_folder

    return model if Path(model).is_dir() or not model_folder(model).is_dir() else str(model_folder(model))


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
