"""What will not fit is known before it is started."""

import dataclasses
from pathlib import Path

import pytest

from bedplate.app.toolchain.train.checks import ModelFacts, check_memory, memory_needed_bytes, read_model_facts
from bedplate.core.errors import NotFoundError, ResourcesError, UsageError
from bedplate.toolchain.train.settings import CheckpointPlace, CheckpointSettings, TrainSettings
from tests.training_run import make_micro_model

SMOLLM2 = ModelFacts(
    num_parameters=134_515_008,
    vocab_size=49_152,
    hidden_size=576,
    intermediate_size=1536,
    num_layers=30,
    num_heads=9,
    max_positions=8192,
)
SETTINGS = TrainSettings(model="m", data="d")


def test_the_estimate_is_at_least_sixteen_bytes_a_parameter_and_two_generations() -> None:
    needed = memory_needed_bytes(SETTINGS, SMOLLM2, 1)
    assert needed > SMOLLM2.num_parameters * (2 + 4 + 12 + 2 * 12)
    assert needed < 12e9


@pytest.mark.parametrize(("sequence", "measured_bytes"), [(512, 3.888e9), (1024, 5.157e9)])
def test_the_estimate_is_a_little_above_what_a_worker_was_seen_to_take(sequence: int, measured_bytes: float) -> None:
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


def test_facts_are_read_without_loading_weights(tmp_path: Path) -> None:
    facts = read_model_facts(make_micro_model(tmp_path))
    assert (facts.num_layers, facts.vocab_size, facts.max_positions) == (2, 256, 128)
    assert 50_000 < facts.num_parameters < 60_000


def test_what_is_no_model_and_what_is_compressed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_model_facts(tmp_path)
    make_micro_model(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("{", '{"quantization_config": {"quant_method": "x"},', 1))
    with pytest.raises(UsageError, match="compressed"):
        read_model_facts(tmp_path)
