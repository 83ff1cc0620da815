"""Threads follow the size of the operators, and a setting overrides them."""

from dataclasses import replace

import pytest

from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.threads import StepThreads, step_threads, useful_threads

SMALL = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_layers=30,
    num_heads=9,
    num_kv_heads=3,
    head_size=64,
    max_positions=8192,
)


@pytest.mark.parametrize(("hidden_size", "max_threads", "threads"), [(576, 2, 1), (2048, 2, 2), (4096, 64, 21), (4096, 1, 1)])
def test_a_thread_gets_a_minimum_of_work(hidden_size: int, max_threads: int, threads: int) -> None:
    assert useful_threads(replace(SMALL, hidden_size=hidden_size), 64, max_threads) == threads


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (EngineSettings(), StepThreads(prefill=1, decode=2)),
        (EngineSettings(max_batch=1), StepThreads(prefill=1, decode=1)),
        (EngineSettings(threads=3), StepThreads(prefill=3, decode=3)),
    ],
    ids=["several sequences", "one sequence", "set"],
)
def test_decode_steps_of_several_sequences_use_all_cores(settings: EngineSettings, expected: StepThreads) -> None:
    assert step_threads(SMALL, settings, 2) == expected
