"""Compress a model by one scheme, and measure what it cost in size, loss and speed compared with the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError

from bedplate.core.errors import ResourcesError
from bedplate.core.files import replacing_folder
from bedplate.core.reporter import Reporter
from bedplate.toolchain.compress.decode import decode_rates
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.compress.job import (
    SCHEMES,
    CompressJob,
    CompressOutcome,
    SchemeResult,
    check_gate,
    check_out,
    check_scheme,
    is_compressed,
)
from bedplate.toolchain.data.shards import Tokens
from bedplate.toolchain.evaluate import compare
from bedplate.toolchain.models.card import ModelCard, ModelKind, Origin, read_card, weights_digest, write_card
from bedplate.toolchain.models.derived import keep_from_base
from bedplate.toolchain.models.folder import load_model, save_model
from bedplate.toolchain.models.weights import size_bytes

BATCHES = (1, 8)
DECODE_CONTEXT = 128


def compress_model(
    job: CompressJob,
    tokens: Tokens,
    reporter: Reporter,
    on_judged: Callable[[CompressOutcome], None] = lambda _outcome: None,
) -> CompressOutcome:
    """Make the compressed model aside, judge it, and put it at `job.out` if it passes the gate.

    Args:
        job: What to make of what; its corpus is given as `tokens`.
        tokens: Held-out tokens to judge by.
        reporter: Receives the number of tokens evaluated; its progress is a heartbeat too.
        on_judged: Called with what was measured, before the gate decides.

    Raises:
        UsageError: No such scheme, a model that is compressed already, or `out` is not free for the result.
        CheckFailedError: A weight is NaN or infinite, or perplexity rose above the gate; what was at `out` is untouched.
        ResourcesError: The result cannot be written.
    """
    check_scheme(job.scheme)
    check_out(job.model, job.out)
    with replacing_folder(job.out.resolve(), is_compressed) as aside:
        reporter.say(f"writing {job.scheme} weights for {job.out}")
        write_compressed(job.model, job.scheme, aside)
        reporter.say(f"evaluating both on {len(tokens)} held-out tokens in windows of {job.context}")
        base, compressed = judge(job.model, aside, job.scheme, tokens, job.context, reporter)
        outcome = CompressOutcome(base=base, scheme=compressed, tokens=len(tokens) - 1)
        on_judged(outcome)
        check_gate(outcome, job.max_perplexity_rise)
    return outcome


def write_compressed(model: Path, scheme: str, folder: Path) -> None:
    """Fill the empty `folder` with the compressed model: weights, config, tokenizer, and a card that names the base.

    Raises:
        UsageError: The model is compressed already.
        CheckFailedError: A weight is NaN or infinite.
        ResourcesError: The disk is full, or cannot be written.
    """
    compressed = quantize_int8(load_model(model, torch.bfloat16), SCHEMES[scheme])
    card = read_card(model)
    about = ModelCard(
        kind=ModelKind.COMPRESSED,
        source=f"{scheme} of {model}",
        licence=card.licence if card else None,
        corpus=card.corpus if card else None,
        base=Origin(path=str(model), digest=weights_digest(model)),
        details={"scheme": scheme},
    )
    try:
        save_model(compressed, folder)
        keep_from_base(model, folder)
        write_card(folder, about)
    except (OSError, SafetensorError) as error:
        raise ResourcesError(
            "the compressed model could not be written",
            seen=f"{folder.parent}: {error}",
            expected="space for the result, and write permission",
            next_step="free some space, or choose another folder for the result",
        ) from error


def judge(
    base: Path, other: Path, scheme: str, tokens: Tokens, context: int, reporter: Reporter
) -> tuple[SchemeResult, SchemeResult]:
    """Measure base and compressed model, both as loaded from their folders, side by side.

    Raises:
        See `compare`.
    """
    models = (load_model(base, torch.bfloat16), load_model(other, torch.bfloat16))
    loss = compare(*models, tokens, context, report=reporter.progress)
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
        rates = decode_rates(models, batch, DECODE_CONTEXT, heartbeat=lambda: reporter.progress(0, 0, ""))
        rows = (_with_rate(rows[0], batch, rates[0]), _with_rate(rows[1], batch, rates[1]))
    return rows


def _with_rate(row: SchemeResult, batch: int, rate: float) -> SchemeResult:
    return replace(row, tokens_per_s_b1=rate) if batch == 1 else replace(row, tokens_per_s_b8=rate)
