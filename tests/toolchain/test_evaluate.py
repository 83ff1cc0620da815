"""Perplexity is what its definition says, whatever the windows; a model that is broken is said to be."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bedplate.core.errors import CheckFailedError, UsageError
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.evaluate import compare, perplexity_of
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.models.llama import Llama

TOKENS = np.random.default_rng(0).integers(0, 2048, 150)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return load_model(tiny_model)


def by_definition(model: Llama, tokens: np.ndarray, context: int) -> float:
    losses = []
    for begin in range(0, len(tokens) - 1, context):
        window = torch.from_numpy(tokens[begin : begin + context + 1])
        with torch.no_grad():
            scores = model.logits(model(window[None, :-1]))[0]
        losses += torch.nn.functional.cross_entropy(scores, window[1:], reduction="none").tolist()
    assert len(losses) == len(tokens) - 1
    return math.exp(sum(losses) / len(losses))


@pytest.mark.parametrize("context", [64, 149, 1000])
def test_it_is_the_exponent_of_the_mean_loss(model: Llama, context: int) -> None:
    reports: list[float] = []
    result = compare(model, model, TOKENS, context, report=lambda done, total, unit: reports.append(done)).base
    assert (result.tokens, result.context) == (149, context)
    assert result.perplexity == pytest.approx(by_definition(model, TOKENS, context), rel=1e-4)
    assert reports[-1] == 149 and reports == sorted(set(reports))


def test_a_perplexity_that_no_float_holds_is_infinite() -> None:
    assert perplexity_of(math.log(10) * 3, 3) == pytest.approx(10)
    assert perplexity_of(1e6, 1) == perplexity_of(math.inf, 1) == math.inf
    assert math.isnan(perplexity_of(math.nan, 1))


def test_a_model_beside_itself_diverges_by_nothing(model: Llama) -> None:
    result = compare(model, model, TOKENS, 128)
    assert result.kl_to_base_nats == pytest.approx(0, abs=1e-6)
    assert result.top1_agreement_frac == 1
    assert result.base.perplexity == result.other.perplexity


def test_a_compressed_model_diverges_a_little(model: Llama) -> None:
    result = compare(model, quantize_int8(model), TOKENS, 128)
    assert 0 < result.kl_to_base_nats < 0.05
    assert result.other.perplexity == pytest.approx(result.base.perplexity, rel=0.02)


def test_weights_that_are_not_numbers_are_found(tiny_model: Path) -> None:
    broken = load_model(tiny_model)
    with torch.no_grad():
        broken.model.norm.weight[0] = float("nan")
    with pytest.raises(CheckFailedError, match="NaN or infinite"):
        compare(broken, broken, TOKENS, 64)


def test_text_that_cannot_be_judged_by_is_refused(model: Llama) -> None:
    with pytest.raises(UsageError, match="too short"):
        compare(model, model, TOKENS[:1])
    with pytest.raises(UsageError, match="another tokenizer"):
        compare(model, model, np.array([1, 5000, 3]))
