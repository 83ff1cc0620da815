"""How well a model predicts a text: perplexity, and its divergence from and agreement with a base model.

The text is cut into windows of `context` tokens, and each starts cold: every token is scored once. Training judges by the
same windows. Logits are made for a few rows at a time, so memory is the model plus rows * vocabulary numbers, whatever the
context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bedplate.core.errors import CheckFailedError, UsageError
from bedplate.toolchain.data.shards import Tokens
from bedplate.toolchain.models.llama import Llama

ROWS_AT_ONCE = 256

Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerplexityResult:
    """A perplexity and what it was measured on; comparable only where context, text and tokenizer are the same."""

    perplexity: float
    """exp of the mean negative log-likelihood in nats per token."""
    tokens: int
    """Tokens that were scored."""
    context: int
    text: str
    """What was read: `validation of wikipedia-sample`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonResult:
    """A model and the base that it was made from, on the same tokens."""

    base: PerplexityResult
    other: PerplexityResult
    kl_to_base_nats: float
    """Mean over tokens of KL(base || other)."""
    top1_agreement_frac: float
    """Share of tokens at which both rank the same token first."""


def perplexity_of(total_nats: float, num_tokens: int) -> float:
    """Exp of the mean negative log-likelihood; infinite where a float cannot hold it, NaN where the sum is not a number."""
    try:
        return math.exp(total_nats / num_tokens)
    except OverflowError:
        return math.inf


def compare(
    base: Llama,
    other: Llama,
    tokens: Tokens,
    context: int = 1024,
    max_tokens: int | None = None,
    *,
    text: str = "",
    report: Report | None = None,
) -> ComparisonResult:
    """Both models on the same tokens, in one pass.

    Args:
        base: The model that the other is held to.
        other: A model with the same tokenizer.
        tokens: int64 (N,).
        context: Most tokens that a prediction sees, plus one.
        max_tokens: Read only this many.
        text: What the tokens are, for people.
        report: Called as report(tokens done, tokens in all, "tokens") after each window: a heartbeat too.

    Raises:
        UsageError: Fewer than two tokens, or tokens of another tokenizer.
        CheckFailedError: A model gives values that are not numbers.
    """
    scores, divergence, agreed = (_Score(), _Score()), 0.0, 0
    both = zip(
        _scored(base, tokens[:max_tokens], context, report),
        _scored(other, tokens[:max_tokens], context, None),
        strict=True,
    )
    for (base_TD, targets_T), (other_TD, _) in both:
        for (base_RD, targets_R), (other_RD, _) in zip(
            _row_blocks(base_TD, targets_T), _row_blocks(other_TD, targets_T), strict=True
        ):
            base_RV, other_RV = _log_probabilities(base, base_RD), _log_probabilities(other, other_RD)
            scores[0].add(base_RV, targets_R)
            scores[1].add(other_RV, targets_R)
            divergence += float(F.kl_div(other_RV, base_RV, reduction="sum", log_target=True))
            agreed += int((base_RV.argmax(-1) == other_RV.argmax(-1)).sum())
    return ComparisonResult(
        base=scores[0].result(context, text),
        other=scores[1].result(context, text),
        kl_to_base_nats=divergence / scores[0].count,
        top1_agreement_frac=agreed / scores[0].count,
    )


class _Score:
    def __init__(self) -> None:
        self.loss, self.count = 0.0, 0

    def add(self, log_probabilities_RV: Tensor, targets_R: Tensor) -> None:
        self.loss += float(F.nll_loss(log_probabilities_RV, targets_R, reduction="sum"))
        self.count += len(targets_R)

    def result(self, context: int, text: str) -> PerplexityResult:
        mean = self.loss / self.count
        if not math.isfinite(mean):
            next_step = "the model computes beyond the range of its numbers: take an earlier checkpoint or another model"
            raise CheckFailedError("the model's output is NaN or infinite", seen=mean, next_step=next_step)
        return PerplexityResult(perplexity=perplexity_of(self.loss, self.count), tokens=self.count, context=context, text=text)


def _scored(model: Llama, tokens: Tokens, context: int, report: Report | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (hidden_TD, targets_T) of each window."""
    if len(tokens) < 2:
        raise UsageError("the evaluation text is too short", seen=f"{len(tokens)} tokens", expected="at least 2")
    if int(tokens.max()) >= model.config.vocab_size:
        seen, expected = f"token {tokens.max()}", f"below {model.config.vocab_size}"
        raise UsageError("the tokens belong to another tokenizer", seen=seen, expected=expected)
    for begin in range(0, len(tokens) - 1, context):
        window = torch.from_numpy(np.ascontiguousarray(tokens[begin : begin + context + 1]))
        with torch.inference_mode():
            hidden_TD = model(window[None, :-1])[0]
        yield hidden_TD, window[1:]
        if report is not None:
            report(begin + len(window) - 1, len(tokens) - 1, "tokens")


def _row_blocks(hidden_TD: Tensor, targets_T: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(targets_T), ROWS_AT_ONCE):
        yield hidden_TD[start : start + ROWS_AT_ONCE], targets_T[start : start + ROWS_AT_ONCE]


def _log_probabilities(model: Llama, hidden_RD: Tensor) -> Tensor:
    with torch.inference_mode():
        return F.log_softmax(model.logits(hidden_RD).float(), dim=-1)
