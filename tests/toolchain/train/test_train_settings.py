"""Training settings as people write them."""

import pytest

from bedplate.core.errors import ConfigurationError
from bedplate.core.messages import decode, encode
from bedplate.core.settings import read_settings, setting_fields
from bedplate.toolchain.train.settings import CheckpointPlace, CheckpointSettings, Precision, TrainSettings

WRITTEN = {
    "model": "m",
    "data": "d",
    "tokens": "40k",
    "precision": "bf16",
    "accumulate": 2,
    "checkpoint": {"every": "2 steps", "in": "memory"},
    "drill": {"kill": 1, "at_step": "9 steps"},
}


def test_the_design_documents_example_is_read() -> None:
    settings = read_settings(TrainSettings, WRITTEN)
    assert settings.tokens == 40_000
    assert settings.precision is Precision.BF16
    assert settings.checkpoint.every == 2
    assert settings.checkpoint.in_ is CheckpointPlace.MEMORY
    assert settings.drill is not None and settings.drill.at_step == 9


def test_settings_survive_the_way_to_a_worker() -> None:
    settings = read_settings(TrainSettings, WRITTEN)
    assert decode(TrainSettings, encode(settings)) == settings


@pytest.mark.parametrize("every", ["two steps", "2 stps", "0", "-1"])
def test_what_is_no_number_of_steps_is_named(every: str) -> None:
    with pytest.raises(ConfigurationError, match=r"checkpoint\.every"):
        read_settings(TrainSettings, WRITTEN | {"checkpoint": {"every": every}})


def test_the_step_stays_the_same_for_fewer_workers() -> None:
    settings = read_settings(TrainSettings, WRITTEN)
    assert settings.tokens_per_step(2) == 512 * 2 * 2
    assert settings.num_steps(2) == 20


def test_every_setting_is_described() -> None:
    assert all(field.text for field in setting_fields(TrainSettings).values())
    assert "in" in setting_fields(CheckpointSettings)
