"""`bedplate train FILE` as people and scripts call it."""

from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.training_run import make_micro_model, make_shards

FILE = """
model: base
data: data
tokens: 10k
precision: fp32
sequence: 32
micro_batch: 2
checkpoint: {every: 2 steps, in: memory}
drill: {kill: 1, at_step: 3}
evaluate: {tokens: 128}
needs: {workers: {want: 2, min: 2}}
"""


@pytest.fixture
def commands(tmp_path: Path) -> CommandLine:
    make_micro_model(tmp_path / "base")
    make_shards(tmp_path / "data")
    return CommandLine(folder=tmp_path)


def test_a_file_is_trained_through_a_killed_worker(commands: CommandLine) -> None:
    commands.write(FILE, "job.yaml")
    ended = commands.call("train", "job.yaml", "-o", "json")
    assert ended.code == 0, ended.err
    facts = ended.json
    assert facts["tokens_per_s"] > 0
    assert facts["final_loss"] > 0
    assert 0 < facts["goodput_frac"] <= 1
    (failure,) = facts["failures"]
    assert failure["kind"] == "drill"
    assert 0 < failure["detect_s"] < failure["resume_step_s"]
    assert failure["steps_repeated"] in (0, 1, 2)
    assert (Path(facts["path"]) / "model.safetensors").is_file()

    again = commands.call("train", "job.yaml")
    assert again.code == 0, again.err
    assert "tokens_per_s" in again.out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("presicion: bf16", ["job.yaml:12", "precision"]),
        ("tokens_: 3", ["job.yaml:12", "tokens"]),
        ("clip: -1", ["job.yaml:12", "at least 0"]),
    ],
)
def test_a_word_that_is_wrong_is_named_with_its_line(commands: CommandLine, line: str, words: list[str]) -> None:
    commands.write(FILE + line + "\n", "job.yaml")
    ended = commands.call("train", "job.yaml")
    assert ended.code == 2
    assert all(word in ended.err for word in words), ended.err


def test_a_missing_file_is_not_found(commands: CommandLine) -> None:
    assert commands.call("train", "nowhere.yaml").code == 3
