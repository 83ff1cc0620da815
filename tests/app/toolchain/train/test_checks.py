"""What will not fit is known before it is started."""

import dataclasses
from pathlib import Path

import pytest

from bedplate.app.toolchain.train.checks import read_trainable
from bedplate.core.errors import IntegrityError, NotFoundError, ResourcesError, UsageError
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.train.footprint import check_memory, memory_needed_bytes
from bedplate.toolchain.train.settings import CheckpointPlace, CheckpointSettings, TrainSettings
from tests.training_run import make_micro_model

SMOLLM2 = LlamaConfig(
    vocab_size=49_152,
    hidden_size=576,
    intermediate_size=1536,
    num_layers=30,
    num_heads=9,
    num_kv_heads=3,
    head_size=64,
    max_positions=8192,
)
SETTINGS = TrainSettings(model="m", data="d")


def test_the_estimate_covers_16_bytes_a_parameter_and_two_generations() -> None:
    needed = memory_needed_bytes(SETTINGS, SMOLLM2, 1)
    assert needed > SMOLLM2.num_parameters * (2 + 4 + 12 + 2 * 12)
    assert needed < 12e9


@pytest.mark.parametrize(("sequence", "measured_bytes"), [(512, 3.888e9), (1024, 5.157e9)])
def test_the_estimate_is_just_above_the_observed_memory(sequence: int, measured_bytes: float) -> None:
    on_disk = CheckpointSettings(in_=CheckpointPlace.DISK)
    needed = memory_needed_bytes(dataclasses.replace(SETTINGS, sequence=sequence, checkpoint=on_disk), SMOLLM2, 1)
    assert measured_bytes < needed < 1.15 * measured_bytes


def test_a_second_worker_adds_its_replica_but_not_another_optimiser() -> None:
    one, two = (memory_needed_bytes(SETTINGS, SMOLLM2, workers) for workers in (1, 2))
    assert one < two < 1.5 * one


def test_a_model_that_does_not_fit_is_refused_with_what_would() -> None:
    check_memory(SETTINGS, SMOLLM2, 2, available_bytes=16 * 10**9)
    with pytest.raises(ResourcesError, match=r"135M parameters with 2 workers.*parameters would fit"):
        check_memory(SETTINGS, SMOLLM2, 2, available_bytes=3 * 10**9)


def test_a_shorter_sequence_is_proposed_where_it_helps() -> None:
    long = dataclasses.replace(SETTINGS, sequence=8192)
    available = (memory_needed_bytes(SETTINGS, SMOLLM2, 2) + memory_needed_bytes(long, SMOLLM2, 2)) // 2
    with pytest.raises(ResourcesError, match=r"sequence: (\d+) ") as caught:
        check_memory(long, SMOLLM2, 2, available)
    proposed = int(str(caught.value.next_step).split("sequence: ")[1].split()[0])
    check_memory(dataclasses.replace(long, sequence=proposed), SMOLLM2, 2, available)


def test_the_model_of_the_measured_figures_has_135_million_weights() -> None:
    assert SMOLLM2.num_parameters == 134_515_008


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_trainable(tmp_path)
    make_micro_model(tmp_path)
    assert 50_000 < read_trainable(tmp_path).num_parameters < 60_000
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("{", '{"quantization_config": {"quant_method": "x"},', 1))
    with pytest.raises(UsageError, match="compressed"):
        read_trainable(tmp_path)


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", b"", b"\x08\0\0\0\0\0\0\0{cut"]
)
def test_weights_that_are_none_are_named(tmp_path: Path, content: bytes) -> None:
    make_micro_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        read_trainable(tmp_path)
