"""How the engine treats requests: in what order, for how long, and what it refuses."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from bedplate.core.errors import IntegrityError, QueueFullError, ResourcesError, UnavailableError, UsageError
from bedplate.core.generation import FinishReason, GeneratedToken, GenerationRequest, SamplingSettings
from bedplate.storage.kvcache.open import open_kv_store
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.serve.decoder import SlotDecoder
from bedplate.toolchain.serve.engine import BuiltInEngine
from bedplate.toolchain.serve.prefix import kv_namespace
from bedplate.toolchain.serve.runner import ModelRunner
from bedplate.toolchain.serve.settings import EngineSettings

CONFIG = LlamaConfig(
    vocab_size=101,
    hidden_size=64,
    intermediate_size=96,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=16,
    max_positions=2048,
)
names = itertools.count()


def make_model() -> Llama:
    torch.manual_seed(0)
    model = Llama(CONFIG)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.to(torch.bfloat16)


@pytest.fixture
def engine() -> Iterator[BuiltInEngine]:
    engine = BuiltInEngine(make_model(), EngineSettings(max_batch=2, queue_size=3, chunk_tokens=32))
    yield engine
    engine.close()


def ask(prompt: tuple[int, ...] = (1, 2, 3), tokens: int = 8, **words: Any) -> GenerationRequest:
    return GenerationRequest(id=str(next(names)), prompt=prompt, max_new_tokens=tokens, **words)


def tokens_of(steps: Iterator[GeneratedToken]) -> list[int]:
    return [step.token for step in steps if step.token is not None]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_the_last_token_says_that_the_length_was_reached(engine: BuiltInEngine) -> None:
    steps = list(engine.submit(ask(tokens=5)))
    assert [step.finish for step in steps] == [None] * 4 + [FinishReason.LENGTH]


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(engine: BuiltInEngine) -> None:
    free = tokens_of(engine.submit(ask()))
    steps = list(engine.submit(ask(stop_tokens=(free[3],))))
    assert tokens_of(iter(steps)) == free[: free.index(free[3])]
    assert steps[-1] == GeneratedToken(token=None, finish=FinishReason.STOP)


def test_more_requests_than_slots_wait_and_all_finish(engine: BuiltInEngine) -> None:
    streams = [engine.submit(ask(tokens=20)) for _ in range(3)]
    assert len({tuple(tokens_of(stream)) for stream in streams}) == 1
    assert engine.statistics().finished == 3


def test_a_full_queue_is_said_at_once(engine: BuiltInEngine) -> None:
    streams = [engine.submit(ask(tokens=1500)) for _ in range(2)]
    wait_for(lambda: engine.statistics().running == 2)
    streams += [engine.submit(ask(tokens=1500)) for _ in range(3)]
    with pytest.raises(QueueFullError, match="queue is full"):
        engine.submit(ask())
    for stream in streams:
        stream.close()
    wait_for(lambda: engine.statistics().running == engine.statistics().queued == 0)
    assert tokens_of(engine.submit(ask(tokens=2)))


def test_closing_the_iterator_cancels_the_request(engine: BuiltInEngine) -> None:
    stream = engine.submit(ask(tokens=1500))
    next(stream)
    stream.close()
    wait_for(lambda: engine.statistics().running == 0)
    assert engine.statistics().generated_tokens < 1500


def test_cancel_by_id_ends_the_stream_with_its_reason(engine: BuiltInEngine) -> None:
    request = ask(tokens=1500)
    stream = engine.submit(request)
    next(stream)
    engine.cancel(request.id)
    assert list(stream)[-1].finish is FinishReason.CANCELLED


def test_cancelling_an_unknown_request_is_ignored(engine: BuiltInEngine) -> None:
    engine.cancel("nobody")


def test_a_deadline_ends_the_request_running_or_waiting(engine: BuiltInEngine) -> None:
    streams = [engine.submit(ask(tokens=2000, deadline_s=0.3)) for _ in range(3)]
    assert [list(stream)[-1].finish for stream in streams] == [FinishReason.DEADLINE] * 3


def test_sampling_is_reproducible_by_its_seed_whatever_else_runs(engine: BuiltInEngine) -> None:
    def sample(seed: int) -> list[int]:
        return tokens_of(engine.submit(ask(tokens=16, sampling=SamplingSettings(temperature=1.0, top_p=0.9, seed=seed))))

    alone = sample(7)
    other = engine.submit(ask(tokens=300, sampling=SamplingSettings(temperature=1.0)))
    assert sample(7) == alone
    assert sample(8) != alone
    other.close()


def test_a_small_top_p_is_greedy(engine: BuiltInEngine) -> None:
    narrow = ask(sampling=SamplingSettings(temperature=1.0, top_p=1e-6, seed=1))
    assert tokens_of(engine.submit(narrow)) == tokens_of(engine.submit(ask()))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask(prompt=()), "empty"),
        (ask(prompt=(1, 101)), "not a token"),
        (ask(prompt=(1, -1)), "not a token"),
        (ask(tokens=0), "nothing to generate"),
        (ask(prompt=(1,) * 2000, tokens=100), "do not fit the context"),
        (ask(sampling=SamplingSettings(temperature=float("nan"))), "invalid temperature"),
        (ask(sampling=SamplingSettings(temperature=float("inf"))), "invalid temperature"),
        (ask(sampling=SamplingSettings(temperature=-1.0)), "invalid temperature"),
        (ask(sampling=SamplingSettings(top_p=0.0)), "invalid top-p"),
        (ask(sampling=SamplingSettings(top_p=float("nan"))), "invalid top-p"),
    ],
    ids=[
        "empty",
        "too large a token",
        "negative",
        "no tokens",
        "too long",
        "temperature nan",
        "temperature inf",
        "temperature negative",
        "top-p 0",
        "top-p nan",
    ],
)
def test_an_impossible_request_is_refused_at_once(engine: BuiltInEngine, request_: GenerationRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        engine.submit(request_)


def test_closing_ends_what_runs_and_refuses_what_comes() -> None:
    engine = BuiltInEngine(make_model(), EngineSettings(max_batch=1))
    streams = [engine.submit(ask(tokens=2000)) for _ in range(2)]
    next(streams[0])
    engine.close()
    engine.close()
    assert [list(stream)[-1].finish for stream in streams] == [FinishReason.CANCELLED] * 2
    with pytest.raises(UnavailableError, match="shutting down"):
        engine.submit(ask())
    assert not any(thread.name == "bedplate-engine" and thread.is_alive() for thread in threading.enumerate())


def test_too_little_memory_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(ResourcesError, match="at least"):
        BuiltInEngine(make_model(), EngineSettings(kv_memory=100_000))


def test_the_context_is_what_memory_and_model_allow() -> None:
    token_bytes = CONFIG.num_layers * 2 * CONFIG.num_kv_heads * CONFIG.head_size * 2
    engine = BuiltInEngine(make_model(), EngineSettings(max_batch=2, kv_memory=token_bytes * 2 * 1100))
    assert engine.context_tokens == 1024
    engine.close()
    engine = BuiltInEngine(make_model(), EngineSettings(context_tokens=100))
    assert engine.context_tokens == 100
    engine.close()


def test_non_finite_scores_end_one_request_and_leave_nothing(engine: BuiltInEngine) -> None:
    before = tokens_of(engine.submit(ask()))
    runner = engine._steps.runner
    assert isinstance(runner, SlotDecoder)
    with torch.no_grad():
        row = runner._embed.weight[50].clone()
        runner._embed.weight[50] = float("nan")
    steps = list(engine.submit(ask(prompt=(1, 50, 2))))
    assert steps[-1].finish is FinishReason.ERROR
    assert "finite" in steps[-1].message
    with torch.no_grad():
        runner._embed.weight[50] = row
    assert tokens_of(engine.submit(ask())) == before


@pytest.mark.parametrize("temperature", [6e-38, 1e-45, 5e-324, 1e-30, 1e308])
@pytest.mark.parametrize("top_p", [1.0, 0.5, 5e-324])
def test_no_temperature_fails_a_request_or_its_neighbour(engine: BuiltInEngine, temperature: float, top_p: float) -> None:
    greedy = tokens_of(engine.submit(ask(tokens=40)))
    neighbour = engine.submit(ask(tokens=40))
    next(neighbour)
    odd = list(engine.submit(ask(sampling=SamplingSettings(temperature=temperature, top_p=top_p, seed=1))))
    assert odd[-1].finish is FinishReason.LENGTH
    if temperature < 1:
        assert tokens_of(iter(odd)) == greedy[: len(odd)]
    steps = list(neighbour)
    assert steps[-1].finish is FinishReason.LENGTH
    assert tokens_of(iter(steps)) == greedy[1:]


class DisturbedAt:
    """A runner whose decoding is disturbed when a row reaches a position: `disturb` is called with that row first."""

    def __init__(self, runner: ModelRunner, position: int, disturb: Callable[[int], None]) -> None:
        self._runner, self._position, self._disturb = runner, position, disturb
        self.prefill, self.logits, self.chunk_logits = runner.prefill, runner.logits, runner.chunk_logits

    def decode(self, tokens: Sequence[int | None], positions: Sequence[int]) -> Tensor:
        if self._position in positions:
            self._disturb(positions.index(self._position))
        return self._runner.decode(tokens, positions)


def test_a_row_that_turns_non_finite_while_decoding_ends_alone(engine: BuiltInEngine) -> None:
    expected = tokens_of(engine.submit(ask(tokens=60)))
    runner = engine._steps.runner

    def poison(row: int) -> None:
        engine._slots.arena_L2SGPK[:, :, row] = float("nan")

    engine._steps.runner = DisturbedAt(runner, position=210, disturb=poison)
    good = engine.submit(ask(tokens=60))
    next(good)
    steps = list(engine.submit(ask(prompt=(7,) * 200, tokens=60)))
    assert (len(steps), steps[-1].finish) == (12, FinishReason.ERROR)
    assert "finite" in steps[-1].message
    assert tokens_of(good) == expected[1:]
    wait_for(lambda: engine.statistics().running == 0)
    engine._steps.runner = runner
    again = [engine.submit(ask(tokens=60)) for _ in range(2)]  # in both slots, the one that held NaN included
    assert [tokens_of(stream) for stream in again] == [expected] * 2


def test_a_decode_failure_of_one_row_ends_only_that_row(engine: BuiltInEngine) -> None:
    expected = tokens_of(engine.submit(ask(tokens=60)))

    def fail(row: int) -> None:
        raise RuntimeError("this position cannot be decoded")

    engine._steps.runner = DisturbedAt(engine._steps.runner, position=210, disturb=fail)
    good = engine.submit(ask(tokens=60))
    next(good)
    steps = list(engine.submit(ask(prompt=(7,) * 200, tokens=60)))
    assert (len(steps), steps[-1].finish) == (12, FinishReason.ERROR)
    assert "cannot be decoded" in steps[-1].message
    assert tokens_of(good) == expected[1:]
    wait_for(lambda: engine.statistics().running == 0)
    assert engine._slots.num_free == 2


def test_a_kv_store_that_fails_costs_time_and_no_request(caplog: pytest.LogCaptureFixture) -> None:
    engine = BuiltInEngine(make_model(), EngineSettings(chunk_tokens=32))
    expected = tokens_of(engine.submit(ask(prompt=(5,) * 100)))
    engine.close()
    store = open_kv_store("kv:?memory=10MB")
    engine = BuiltInEngine(make_model(), EngineSettings(chunk_tokens=32), store, kv_namespace(CONFIG, "0", torch.bfloat16, 32))
    engine._steps.memory._store = None  # type: ignore[union-attr]
    steps = list(engine.submit(ask(prompt=(5,) * 100)))
    assert steps[-1].finish is FinishReason.LENGTH
    assert tokens_of(iter(steps)) == expected
    assert "the KV store failed" in caplog.text
    engine.close()
    store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_whose_thread_breaks_leaves_nobody_waiting(engine: BuiltInEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = engine.submit(ask(tokens=1500))
    next(stream)
    monkeypatch.setattr(engine, "_admit", lambda: 1 / 0)
    assert list(stream)[-1].finish is FinishReason.CANCELLED


def test_an_idle_engine_recovers_a_lost_slot(engine: BuiltInEngine, caplog: pytest.LogCaptureFixture) -> None:
    expected = tokens_of(engine.submit(ask()))
    wait_for(lambda: engine.statistics().running == 0)
    engine.check_integrity()
    engine._slots.take()
    with pytest.raises(IntegrityError, match="not conserved"):
        engine.check_integrity()
    assert tokens_of(engine.submit(ask())) == expected
    wait_for(lambda: engine._slots.num_free == 2)
    engine.check_integrity()
    assert "reclaiming its slots" in caplog.text


def test_statistics_count_tokens_and_blocks(engine: BuiltInEngine) -> None:
    stream = engine.submit(ask(prompt=(1,) * 70, tokens=1000))
    next(stream)
    now = engine.statistics()
    assert (now.running, now.queued, now.prompt_tokens) == (1, 0, 70)
    assert now.kv_blocks_used >= 3
    stream.close()
    wait_for(lambda: engine.statistics().kv_blocks_used == 0)
