"""What goes to the worker that compresses a model, and what comes back; and the gate that its result must pass. No torch."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import CheckFailedError, UsageError, check_known
from bedplate.core.files import check_replaceable
from bedplate.toolchain.models.card import ModelKind, is_result_of
from bedplate.toolchain.models.quantization import Storage


class Scheme(enum.StrEnum):
    """How a model is compressed, as people write it."""

    INT8 = "int8"
    """Every weight matrix: the smallest."""
    INT8_LINEAR = "int8-linear"
    """Linear layers only; embedding table and head stay bf16."""


SCHEMES: Mapping[str, Storage] = {Scheme.INT8: Storage.INT8, Scheme.INT8_LINEAR: Storage.INT8_LINEAR}
"""Name of each scheme, and how it stores the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressJob:
    """One model, one scheme."""

    model: Path
    """Folder of a model with plain weights."""
    corpus: Path
    """Its held-out part judges the result."""
    out: Path
    """Where the result appears once it has passed the gate; an earlier result there is replaced."""
    scheme: str
    context: int
    """Tokens per window."""
    max_tokens: int
    """Held-out tokens to read."""
    max_perplexity_rise: float
    """Gate: largest allowed rise, as a share of the base's perplexity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeResult:
    """One row of the table: a scheme, or the base that it is compared with."""

    name: str
    size_bytes: int
    """Of the safetensors files."""
    perplexity: float
    kl_to_base: float
    """Mean KL(base || this) in nats per token; 0 for the base."""
    top1_agreement_frac: float
    tokens_per_s_b1: float = 0.0
    """Decoding, one sequence, `DECODE_CONTEXT` tokens in memory."""
    tokens_per_s_b8: float = 0.0
    """Decoding, eight sequences together, all of them counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressOutcome:
    """A scheme and its base, measured on the same tokens."""

    base: SchemeResult
    scheme: SchemeResult
    tokens: int
    """Tokens that were predicted."""

    @property
    def perplexity_rise_frac(self) -> float:
        """0.01: the result's perplexity is 1 % above the base's."""
        return self.scheme.perplexity / self.base.perplexity - 1


def check_scheme(scheme: str) -> None:
    """UsageError where there is no such scheme; it names the nearest."""
    check_known(scheme, SCHEMES, "no compression scheme")


def check_out(model: Path, out: Path) -> None:
    """Refuse a result folder that would take the model's place, or that holds anything but an earlier result.

    Raises:
        UsageError: `out` is the model, is inside it, contains it, or is a folder that `compress` did not make.
    """
    base, result = model.resolve(), out.resolve()
    if base == result or base in result.parents or result in base.parents:
        raise UsageError(
            "the result would replace or change the model that it is made from",
            seen=f"model {base}, result {result}",
            expected="two folders, neither in the other",
            next_step="choose another folder for the result",
        )
    check_replaceable(out if out.is_symlink() else result, is_compressed)


def is_compressed(folder: Path) -> bool:
    """Whether `compress` made this folder, and nothing was added to it since."""
    return is_result_of(folder, ModelKind.COMPRESSED)


def is_accepted(outcome: CompressOutcome, max_perplexity_rise: float) -> bool:
    """Whether perplexity rose by no more than agreed; not where it is no number."""
    return outcome.perplexity_rise_frac <= max_perplexity_rise


def check_gate(outcome: CompressOutcome, max_perplexity_rise: float) -> None:
    """Raise CheckFailedError where the outcome is not accepted."""
    if not is_accepted(outcome, max_perplexity_rise):
        raise CheckFailedError(
            f"{outcome.scheme.name} loses more quality than allowed",
            seen=f"perplexity {outcome.base.perplexity:.3f} -> {outcome.scheme.perplexity:.3f}"
            f" ({outcome.perplexity_rise_frac:+.2%})",
            expected=f"at most {max_perplexity_rise:+.2%}",
            next_step="keep the model as it is, or raise max_perplexity_rise",
        )
