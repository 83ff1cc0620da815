"""What people type: wrong values are refused by option before anything runs, also as JSON."""

import json
from pathlib import Path

import pytest

from bedplate.app.toolchain.train.run_file import as_pipeline, with_settings
from bedplate.cli.main import main
from bedplate.core.errors import ConfigurationError
from bedplate.core.json import JsonObject
from bedplate.documents.reading import read_document


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["ops", "preflight", "--budget", "0s"], "--budget"),
        (["ops", "preflight", "--max-slots", "0"], "--max-slots"),
        (["doctor", "--budget", "0"], "--budget"),
        (["serve", "m", "--max-batch", "257"], "--max-batch"),
        (["serve", "m", "--request-timeout", "0"], "--request-timeout"),
        (["serve", "m", "--kv-memory", "2GBB"], "--kv-memory"),
        (["compress", "m", "--out", "o", "--max-perplexity-rise", "101%"], "--max-perplexity-rise"),
        (["bench", "serve", "m", "--streams", "0"], "--streams"),
        (["bench", "serve", "m", "--kv", "maybe"], "--kv"),
        (["train", "f.yaml", "--tokens", "-5"], "--tokens"),
        (["ps", "--limit", "0"], "--limit"),
        (["events", "--after", "-1"], "--after"),
        (["logs", "--rank", "first"], "--rank"),
        (["network", "simulate", "--topology", "t", "--traffic", "r", "--balance", "ecmp", "--qps", "0"], "--qps"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_option(
    words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "-o", "json"]) == 2
    error = json.loads(capsys.readouterr().err)
    assert option in error["error"]
    assert error["seen"] == words[words.index(option) + 1]
    assert error["expected"]


@pytest.mark.parametrize(
    ("words", "what", "next_step"),
    [
        (["rnu"], "'bedplate' has no command 'rnu'", "did you mean 'run'?"),
        (["model", "fech"], "'bedplate model' has no command 'fech'", "did you mean 'fetch'?"),
        (["serve", "m", "--prot", "1"], "'bedplate serve' has no option '--prot'", "did you mean '--port'?"),
        (["serve", "m", "--no-atuh"], "'bedplate serve' has no option '--no-atuh'", "did you mean '--no-auth'?"),
        (["serve", "m", "--zzz"], "'bedplate serve' has no option '--zzz'", "see 'bedplate serve --help'"),
        (["ps", "--output", "jsn"], "--output must be one of table, json", "did you mean 'json'?"),
        (["score", "--lang", "zhh"], "--lang must be one of en, zh", "did you mean 'zh'?"),
        (["train", "f.yaml", "--precision", "bf61"], "'--precision' must be one of bf16, fp32", "did you mean 'bf16'?"),
        (
            ["network", "simulate", "--topology", "leaf-spine:2x2", "--traffic", "ring-shift", "--balance", "ecpm"],
            "'--balance' must be one of ecmp, planned, spray",
            "did you mean 'ecmp'?",
        ),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_right_one(
    words: list[str], what: str, next_step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error [BP200]: {what}\n" in printed.err
    assert f"  next:     {next_step}\n" in printed.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["run"], "missing argument 'FILE'"),
        (["run", "a", "b"], "got unexpected extra argument (b)"),
        (["cancel", "last", "--wait", "soon"], "--wait: 'soon' is not a valid float"),
        (["serve", "m", "--port"], "option '--port' requires an argument"),
    ],
)
def test_what_click_refuses_is_told_in_the_same_form(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error [BP200]: {what}\n")
    assert "next:" in printed


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model"]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_a_word_that_click_refuses_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "m", "--no-such-option", "-o", "json"]) == 2
    assert "--no-such-option" in json.loads(capsys.readouterr().err)["error"]


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    file = tmp_path / "train.yaml"
    file.write_text("model: ./model\ndata: ./data\ntokens: 40k\ncheckpoint: {every: 2 steps, in: disk}\n")
    return file


def test_options_of_train_take_the_place_of_keys_in_the_file(train_file: Path) -> None:
    overlay: JsonObject = {"tokens": "1M", "checkpoint": {"every": "5"}, "learning_rate": 1e-4}
    document = as_pipeline(with_settings(read_document(train_file), overlay))
    assert document.value["steps"] == {
        "train": {
            "use": "train",
            "model": "./model",
            "data": "./data",
            "tokens": "1M",
            "checkpoint": {"every": "5", "in": "disk"},
            "learning_rate": 1e-4,
        }
    }


def test_a_path_in_an_option_starts_at_the_working_directory(
    train_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    monkeypatch.chdir(here)
    document = with_settings(read_document(train_file), {"data": "data"})
    assert document.value["data"] == str(here / "data")
    with pytest.raises(ConfigurationError, match="'data' names a file that does not exist"):
        with_settings(read_document(train_file), {"data": "no-data"})
