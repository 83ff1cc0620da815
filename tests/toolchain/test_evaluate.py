"""Perplexity is what its definition says, whatever the windows; a model that is broken is said to be."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bedplate.core.errors import CheckFailedError, UsageError
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.evaluate import compare, perplexity
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
    result = perplexity(model, TOKENS, context)
    assert result.tokens == 149
    assert result.perplexity == pytest.approx(by_definition(model, TOKENS, context), rel=1e-4)


def test_a_stride_scores_each_token_once_with_more_context(model: Llama) -> None:
    reports: list[float] = []
    result = perplexity(model, TOKENS, 64, 16, report=lambda done, total, unit: reports.append(done))
    assert result.tokens == 149 == reports[-1] and reports == sorted(set(reports))
    with torch.no_grad():
        window = torch.from_numpy(TOKENS[16:81])
        loss = torch.nn.functional.cross_entropy(model.logits(model(window[None, :-1]))[0], window[1:], reduction="none")
    first = perplexity(model, TOKENS[:65], 64).perplexity
    both = perplexity(model, TOKENS[:81], 64, 16).perplexity
    assert math.log(both) * 80 == pytest.approx(math.log(first) * 64 + float(loss[-16:].sum()), rel=1e-4)


def test_a_model_beside_itself_diverges_by_nothing(model: Llama) -> None:
    result = compare(model, model, TOKENS, 128)
    assert result.kl_to_base_nats == pytest.approx(0, abs=1e-6)
    assert result.top1_agreement_frac == 1
    assert result.base.perplexity == result.other.perplexity == pytest.approx(perplexity(model, TOKENS, 128).perplexity)


def test_a_compressed_model_diverges_a_little(model: Llama) -> None:
    result = compare(model, quantize_int8(model), TOKENS, 128)
    assert 0 < result.kl_to_base_nats < 0.05
    assert result.other.perplexity == pytest.approx(result.base.perplexity, rel=0.02)


def test_weights_that_are_not_numbers_are_found(tiny_model: Path) -> None:
    broken = load_model(tiny_model)
    with torch.no_grad():
        broken.model.norm.weight[0] = float("nan")
    with pytest.raises(CheckFailedError, match="not numbers"):
        perplexity(broken, TOKENS, 64)


def test_text_that_cannot_be_judged_by_is_refused(model: Llama) -> None:
    with pytest.raises(UsageError, match="too short"):
        perplexity(model, TOKENS[:1])
    with pytest.raises(UsageError, match="another tokenizer"):
        perplexity(model, np.array([1, 5000, 3]))
    with pytest.raises(UsageError, match="stride"):
        perplexity(model, TOKENS, 64, 65)
