"""A greedy answer is the same, to the bit of every score, alone, among others, from memory, and after a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bedplate.core.blocks import KVBlockStore
from bedplate.core.generation import GeneratedToken, GenerationRequest
from bedplate.storage.kvcache.open import open_kv_store
from bedplate.toolchain.compress.int8 import quantize_int8
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.engine import BuiltInEngine
from bedplate.toolchain.serve.prefix import kv_namespace
from bedplate.toolchain.serve.sequence import Sequence
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.steps import Outcome, Steps

CONFIG = LlamaConfig(
    vocab_size=211,
    hidden_size=96,
    intermediate_size=160,
    num_layers=3,
    num_heads=6,
    num_kv_heads=2,
    head_size=16,
    max_positions=2048,
)
SETTINGS = EngineSettings(max_batch=4, chunk_tokens=64, chunks_per_step=1)
KINDS = ["bf16", "fp32", "int8"]


class RecordingSteps(Steps):
    """Keeps the scores behind every token that it chose."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(steps.runner, SETTINGS.max_batch, SETTINGS.chunk_tokens, steps.memory)
        self.scores: dict[str, list[Tensor]] = {}

    def choose(self, sequence: Sequence, logits_V: Tensor) -> Outcome:
        self.scores.setdefault(sequence.request.id, []).append(logits_V.clone())
        return super().choose(sequence, logits_V)


class RecordingEngine(BuiltInEngine):
    """Keeps the scores behind every token that it chose."""

    def __init__(self, model: Llama, store: KVBlockStore | None = None) -> None:
        dtype = model.model.norm.weight.dtype
        super().__init__(model, SETTINGS, store, kv_namespace(CONFIG, "0", dtype, SETTINGS.chunk_tokens))
        self._steps = self.recording = RecordingSteps(self._steps)


def make_model(kind: str) -> Llama:
    torch.manual_seed(0)
    model = Llama(CONFIG)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    model = model.to(torch.float32 if kind == "fp32" else torch.bfloat16)
    return quantize_int8(model) if kind == "int8" else model


def make_prompt(length: int, seed: int = 1) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(CONFIG.vocab_size, (length,), generator=generator).tolist())


def request(name: str, prompt: tuple[int, ...], num_tokens: int = 24) -> GenerationRequest:
    return GenerationRequest(id=name, prompt=prompt, max_new_tokens=num_tokens)


def tokens_of(stream: Iterator[GeneratedToken]) -> list[int]:
    return [step.token for step in stream if step.token is not None]


def answer(engine: RecordingEngine, name: str, prompt: tuple[int, ...]) -> tuple[list[int], Tensor]:
    tokens = tokens_of(engine.submit(request(name, prompt)))
    return tokens, torch.stack(engine.recording.scores[name])


def assert_same(one: tuple[list[int], Tensor], other: tuple[list[int], Tensor]) -> None:
    assert one[0] == other[0]
    assert torch.equal(one[1], other[1])


PROMPT = make_prompt(500)  # its answer crosses position 512, where attention takes another step


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Llama:
    return make_model(request.param)


@pytest.fixture(scope="module")
def alone(model: Llama) -> tuple[list[int], Tensor]:
    engine = RecordingEngine(model)
    try:
        return answer(engine, "alone", PROMPT)
    finally:
        engine.close()


@pytest.mark.parametrize("other_lengths", [(90, 500, 130), (700, 64, 1500), (1, 2, 3)], ids=["mixed", "longer", "shorter"])
def test_an_answer_is_the_same_among_others(
    model: Llama, alone: tuple[list[int], Tensor], other_lengths: tuple[int, ...]
) -> None:
    engine = RecordingEngine(model)
    streams = [
        engine.submit(request(f"other-{seed}", make_prompt(length, seed), 40)) for seed, length in enumerate(other_lengths)
    ]
    try:
        assert_same(answer(engine, "among", PROMPT), alone)
    finally:
        for stream in streams:
            tokens_of(stream)
        engine.close()


def test_an_answer_from_memory_is_the_computed_one(model: Llama, alone: tuple[list[int], Tensor]) -> None:
    store = open_kv_store("kv:?memory=100MB")
    engine = RecordingEngine(model, store)
    assert_same(answer(engine, "first", PROMPT), alone)
    assert_same(answer(engine, "again", PROMPT), alone)
    assert engine.statistics().cached_tokens == 448
    engine.close()
    store.close()


def test_an_answer_after_a_restart_is_the_same(model: Llama, alone: tuple[list[int], Tensor], tmp_path: Path) -> None:
    for run in ("before", "after"):
        store = open_kv_store(f"kv://{tmp_path}?memory=100MB&disk=100MB")
        engine = RecordingEngine(model, store)
        assert_same(answer(engine, run, PROMPT), alone)
        cached = engine.statistics().cached_tokens
        engine.close()
        store.close()
    assert cached == 448


def test_the_next_turn_prefills_what_was_generated(model: Llama) -> None:
    store = open_kv_store("kv:?memory=100MB")
    with_memory, without = RecordingEngine(model, store), RecordingEngine(model)
    conversation = make_prompt(200)
    for turn in range(3):
        on, off = answer(with_memory, str(turn), conversation), answer(without, str(turn), conversation)
        assert_same(on, off)
        conversation += (*on[0], *make_prompt(70, seed=turn))
    assert with_memory.statistics().cached_tokens > 0
    assert without.statistics().cached_tokens == 0
    for engine in (with_memory, without):
        engine.close()
    store.close()


def test_a_prompt_of_whole_chunks_still_computes_its_last_one(model: Llama) -> None:
    store = open_kv_store("kv:?memory=100MB")
    engine = RecordingEngine(model, store)
    first, second = (answer(engine, name, make_prompt(128)) for name in ("first", "second"))
    assert_same(first, second)
    assert engine.statistics().cached_tokens == 64
    engine.close()
    store.close()


def test_tenants_do_not_share(model: Llama) -> None:
    store = open_kv_store("kv:?memory=100MB")
    engine = RecordingEngine(model, store)
    for tenant in ("one", "other"):
        tokens_of(engine.submit(GenerationRequest(id=tenant, prompt=make_prompt(200), max_new_tokens=1, tenant=tenant)))
    assert engine.statistics().cached_tokens == 0
    engine.close()
    store.close()
