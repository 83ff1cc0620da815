"""Log-probabilities: those of the model itself, the same whatever else runs, and without effect on the answer."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from bedplate.core.errors import UsageError
from bedplate.core.generation import FinishReason, GeneratedToken, GenerationRequest, SamplingSettings
from bedplate.storage.kvcache.open import open_kv_store
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.engine import BuiltInEngine
from bedplate.toolchain.serve.logprobs import token_logprobs
from bedplate.toolchain.serve.prefix import kv_namespace
from tests.toolchain.serve.test_exactness import SETTINGS, make_model, make_prompt

PROMPT = make_prompt(150)  # two chunks and a part of a third


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def model(request: pytest.FixtureRequest) -> Llama:
    return make_model(request.param)


@pytest.fixture
def engine(model: Llama) -> Iterator[BuiltInEngine]:
    engine = BuiltInEngine(model, SETTINGS)
    yield engine
    engine.close()


def ask(engine: BuiltInEngine, **settings: Any) -> list[GeneratedToken]:
    words: dict[str, Any] = {"id": "ask", "prompt": PROMPT, "max_new_tokens": 6} | settings
    return list(engine.submit(GenerationRequest(**words)))


def expected_logprobs(model: Llama, tokens: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.log_softmax(model.logits(model(torch.tensor([tokens])))[0].float(), dim=-1)


def tolerance(model: Llama) -> float:
    return 1e-4 if model.lm_head.weight.dtype is torch.float32 else 0.15


def test_generated_tokens_carry_the_models_own_logprobs(engine: BuiltInEngine, model: Llama) -> None:
    steps = ask(engine, logprobs=3)
    tokens = [step.token for step in steps if step.token is not None]
    expected_TV = expected_logprobs(model, (*PROMPT, *tokens))[len(PROMPT) - 1 : -1]
    for step, expected_V in zip(steps, expected_TV, strict=True):
        assert step.logprobs is not None
        assert step.logprobs.token == step.token == step.logprobs.top[0][0]  # greedy
        assert step.logprobs.top[0][1] == step.logprobs.logprob
        for token, logprob in step.logprobs.top:
            assert logprob == pytest.approx(expected_V[token].item(), abs=tolerance(model))
        assert [value for _, value in step.logprobs.top] == sorted((v for _, v in step.logprobs.top), reverse=True)


def test_prompt_tokens_carry_theirs_in_the_first_step_alone(engine: BuiltInEngine, model: Llama) -> None:
    steps = ask(engine, prompt_logprobs=2)
    assert all(step.prompt_logprobs is None for step in steps[1:])
    prompt_logprobs = steps[0].prompt_logprobs
    assert prompt_logprobs is not None
    assert prompt_logprobs[0] is None
    expected_TV = expected_logprobs(model, PROMPT)
    for position, found in enumerate(prompt_logprobs[1:], start=1):
        assert found is not None
        assert (found.token, len(found.top)) == (PROMPT[position], 2)
        assert found.logprob == pytest.approx(expected_TV[position - 1, found.token].item(), abs=tolerance(model))
    assert len(prompt_logprobs) == len(PROMPT)


def test_asking_for_logprobs_does_not_change_the_answer(engine: BuiltInEngine) -> None:
    sampling = SamplingSettings(temperature=1.0, seed=3)
    plain = ask(engine, sampling=sampling)
    with_logprobs = ask(engine, sampling=sampling, logprobs=20, prompt_logprobs=5)
    assert [step.token for step in plain] == [step.token for step in with_logprobs]
    assert all(step.logprobs is None and step.prompt_logprobs is None for step in plain)


def test_logprobs_are_the_same_to_the_bit_among_others(engine: BuiltInEngine) -> None:
    alone = ask(engine, logprobs=4, prompt_logprobs=4)
    others = [
        engine.submit(GenerationRequest(id=str(seed), prompt=make_prompt(length, seed), max_new_tokens=40))
        for seed, length in enumerate((90, 300, 130))
    ]
    assert ask(engine, logprobs=4, prompt_logprobs=4) == alone
    for stream in others:
        list(stream)


def test_logprobs_are_the_same_to_the_bit_with_kv_memory(model: Llama) -> None:
    store = open_kv_store("kv:?memory=100MB")
    namespace = kv_namespace(model.config, "0", model.lm_head.weight.dtype, SETTINGS.chunk_tokens)
    engine = BuiltInEngine(model, SETTINGS, store, namespace)
    first = ask(engine, logprobs=4, prompt_logprobs=4)
    assert ask(engine, logprobs=4, prompt_logprobs=4) == first
    loaded = ask(engine, logprobs=4)
    assert loaded[0].cached_tokens == 128
    assert [step.logprobs for step in loaded] == [step.logprobs for step in first]
    engine.close()
    store.close()


def test_a_prompt_can_be_scored_without_generating(engine: BuiltInEngine) -> None:
    (step,) = ask(engine, max_new_tokens=0, prompt_logprobs=0)
    assert (step.token, step.finish) == (None, FinishReason.LENGTH)
    assert step.prompt_logprobs is not None
    assert len(step.prompt_logprobs) == len(PROMPT)
    assert engine.statistics().running == 0


def test_a_first_stop_token_still_delivers_prompt_logprobs(engine: BuiltInEngine) -> None:
    first = ask(engine)[0].token
    assert first is not None
    (step,) = ask(engine, stop_tokens=(first,), prompt_logprobs=1)
    assert step.finish is FinishReason.STOP
    assert step.prompt_logprobs is not None


def test_of_equal_scores_the_smaller_token_comes_first() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, 2.0, 1.0, 1.0])
    assert [token for token, _ in token_logprobs(logits, 0, 4).top] == [1, 3, 2, 4]
    assert len(token_logprobs(logits, 0, 20).top) == 6


def test_a_token_that_the_model_rules_out_has_minus_infinity() -> None:
    assert token_logprobs(torch.tensor([0.0, float("-inf")]), 1, 1).logprob == float("-inf")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"logprobs": 21}, "too many log-probabilities"),
        ({"logprobs": -1}, "too many log-probabilities"),
        ({"prompt_logprobs": 21}, "too many log-probabilities"),
        ({"max_new_tokens": 0}, "nothing to generate"),
        ({"max_new_tokens": 0, "logprobs": 1}, "nothing to generate"),
    ],
    ids=["21", "negative", "21 of the prompt", "no tokens", "logprobs of nothing"],
)
def test_what_cannot_be_reported_is_refused(engine: BuiltInEngine, settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ask(engine, **settings)
