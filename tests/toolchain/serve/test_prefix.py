"""The namespace of KV blocks: whatever can change a bit of them is in it, and nothing that cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bedplate.core.blocks import KVNamespace
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.serve.prefix import kv_namespace, processor_facts

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


def namespace(config: LlamaConfig = CONFIG) -> KVNamespace:
    return kv_namespace(config, "w0", torch.bfloat16, 64)


@pytest.mark.parametrize(
    "change",
    [{"rope_theta": 500.0}, {"rms_norm_eps": 1e-3}, {"num_kv_heads": 3}, {"head_size": 32}, {"num_layers": 2}],
    ids=lambda change: next(iter(change)),
)
def test_another_config_is_another_namespace(change: dict[str, Any]) -> None:
    assert namespace(replace(CONFIG, **change)).root() != namespace().root()


def test_the_same_process_has_one_namespace() -> None:
    assert namespace() == namespace()


def test_the_number_of_threads_is_part_of_it() -> None:
    before, threads = namespace(), torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert namespace() != before
    finally:
        torch.set_num_threads(threads)


def test_a_variable_that_chooses_kernels_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = namespace()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert namespace() != before


def test_processors_differ_by_instructions_not_by_other_flags(tmp_path: Path) -> None:
    def facts(flags: str, model: str = "2") -> list[str]:
        file = tmp_path / "cpuinfo"
        file.write_text(f"processor : 0\nvendor_id : AuthenticAMD\nmodel : {model}\nflags : {flags}\n\nprocessor : 1\n")
        return processor_facts(file)

    assert facts("fpu avx512f avx512_bf16 fma") == facts("fma avx512_bf16 avx512f tsc")
    assert facts("fpu avx512f fma") != facts("fpu avx512f avx512_bf16 fma")
    assert facts("fma", model="2") != facts("fma", model="3")
    assert processor_facts(tmp_path / "none") == []
