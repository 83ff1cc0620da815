"""What makes two training runs the same work: everything that decides the weights, and nothing else."""

import dataclasses
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.step import Needs
from bedplate.app.pipeline.contract.use_case import load_use_case
from bedplate.app.pipeline.file.definition import Pipeline, Step
from bedplate.core.json import Json
from bedplate.core.settings import Source, identifying
from bedplate.toolchain.train.settings import TrainSettings

WRITTEN: dict[str, Json] = {"model": "m", "data": "d", "tokens": "40k"}


def key_with(**settings: Json) -> str:
    """The key of a pipeline of one training step with these settings."""
    step = Step(
        name="train",
        case=load_use_case("train"),
        after=(),
        inputs=(),
        written={**WRITTEN, **settings},
        inputs_read=(),
        source=Source(),
    )
    return Pipeline(name="train", needs=Needs(), steps=(step,), document={}, file="").key()


@pytest.mark.parametrize(
    "changed",
    [
        {"restarts": 9},
        {"hang_timeout": "1h"},
        {"on_non_finite": "skip"},
        {"max_skipped_steps": 2},
        {"max_skipped": "50%"},
        {"checkpoint": {"every": 7, "in": "disk"}},
    ],
)
def test_settings_that_keep_the_mathematics_continue_the_run(changed: dict[str, Json]) -> None:
    assert key_with(**changed) == key_with()


@pytest.mark.parametrize("changed", [{"learning_rate": 1e-3}, {"seed": 1}, {"precision": "fp32"}, {"drill": {"at_step": 3}}])
def test_settings_that_change_what_comes_out_start_another_run(changed: dict[str, Json]) -> None:
    assert key_with(**changed) != key_with()


def test_every_setting_is_identifying_unless_it_says_otherwise(tmp_path: Path) -> None:
    names = {item.name for item in dataclasses.fields(TrainSettings)}
    operational = {"restarts", "hang_timeout", "on_non_finite", "max_skipped_steps", "max_skipped", "checkpoint"}
    assert set(identifying(TrainSettings, dict.fromkeys(names))) == names - operational
