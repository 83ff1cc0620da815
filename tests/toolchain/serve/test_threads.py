"""Threads follow the size of the operators, and a setting overrides them."""

from dataclasses import replace

import pytest

from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.serve.threads import useful_threads

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
