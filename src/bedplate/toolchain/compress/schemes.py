"""Compression schemes by name, and what one cost: size, loss and speed beside the model that it was made from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from bedplate.core.errors import check_known
from bedplate.core.json import JsonObject
from bedplate.toolchain.compress.decode import decode_rates
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.data.shards import Tokens
from bedplate.toolchain.evaluate import compare
from bedplate.toolchain.models.card import read_card, weights_digest, write_card
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.weights import size_bytes

SCHEMES: Mapping[str, Callable[[Llama], Llama]] = {"int8": quantize_int8}
BATCHES = (1, 8)
DECODE_CONTEXT = 128

Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeResult:
    """One row of the table: a scheme, or the base it is held against."""

    name: str
    size_bytes: int
    """Of the safetensors files."""
    perplexity: float
    kl_to_base: float
    """Mean KL(base || this) in nats a token; 0 for the base."""
    top1_agreement_frac: float
    tokens_per_s_b1: float = 0.0
    """Decoding, one sequence, `DECODE_CONTEXT` tokens in memory."""
    tokens_per_s_b8: float = 0.0
    """Decoding, eight sequences together, all of them counted."""

    def as_json(self) -> JsonObject:
        """For a worker's result and `-o json`."""
        return asdict(self)


def write_compressed(model: Path, scheme: str, out: Path) -> None:
    """Write the compressed model as a whole model folder at `out`, replacing one that is there.

    Args:
        model: Folder of a plain model.
        scheme: A name of `SCHEMES`.
        out: The result: weights, config, tokenizer and a card that names the base.

    Raises:
        UsageError: No such scheme, or a model that is compressed already.
        CheckFailedError: A weight is NaN or infinite.
    """
    check_scheme(scheme)
    compressed = SCHEMES[scheme](load_model(model, torch.bfloat16))
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    save_model(compressed, aside)
    for file in model.iterdir():
        if file.suffix in (".json", ".jinja", ".txt", ".model") and file.name not in ("config.json", "bedplate.json"):
            shutil.copyfile(file, aside / file.name)
    _keep_token_ids(model, aside)
    before = read_card(model)
    kept = {key: before[key] for key in ("licence", "corpus") if key in before}
    write_card(aside, source=f"{scheme} of {model}", base=str(model), base_weights=weights_digest(model), **kept)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)


def judge(
    base: Path, other: Path, scheme: str, tokens: Tokens, context: int, report: Report
) -> tuple[SchemeResult, SchemeResult]:
    """Measure base and compressed model, both as loaded from their folders, side by side.

    Raises:
        See `compare`.
    """
    models = (load_model(base, torch.bfloat16), load_model(other, torch.bfloat16))
    loss = compare(*models, tokens, context, report=report)
    rows = (
        SchemeResult(
            name="bf16",
            size_bytes=size_bytes(base),
            perplexity=loss.base.perplexity,
            kl_to_base=0.0,
            top1_agreement_frac=1.0,
        ),
        SchemeResult(
            name=scheme,
            size_bytes=size_bytes(other),
            perplexity=loss.other.perplexity,
            kl_to_base=loss.kl_to_base_nats,
            top1_agreement_frac=loss.top1_agreement_frac,
        ),
    )
    for batch in BATCHES:
        rates = decode_rates(models, batch, DECODE_CONTEXT, heartbeat=lambda: report(0, 0, ""))
        rows = (_with_rate(rows[0], batch, rates[0]), _with_rate(rows[1], batch, rates[1]))
    return rows


def check_scheme(scheme: str) -> None:
    """UsageError where there is no such scheme; it names the nearest."""
    check_known(scheme, SCHEMES, "no compression scheme")


def _with_rate(row: SchemeResult, batch: int, rate: float) -> SchemeResult:
    return replace(row, tokens_per_s_b1=rate) if batch == 1 else replace(row, tokens_per_s_b8=rate)


def _keep_token_ids(model: Path, out: Path) -> None:
    """Carry bos, eos and pad over: `save_model` knows shapes only."""
    import json

    before = json.loads((model / "config.json").read_text())
    kept = {key: before[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in before}
    config = json.loads((out / "config.json").read_text()) | kept
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
