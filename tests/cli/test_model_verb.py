"""`model` and `text` through the real command line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bedplate.app.toolchain import listing
from bedplate.app.toolchain.data import standalone
from bedplate.cli.main import main
from bedplate.toolchain.data import catalog as text_catalog
from bedplate.toolchain.data.catalog import KnownText
from bedplate.toolchain.models import catalog
from bedplate.toolchain.models.card import ModelCard, ModelKind, write_card
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
    texts = {"sample": KnownText(name="sample", text=text, licence="CC0", source="generated", notes="")}
    for module in (text_catalog, listing, standalone):
        monkeypatch.setattr(module, "TEXTS", texts)
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


def listed(kind: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert main([kind, "list", "-o", "json"]) == 0
    return {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)[f"{kind}s"]}


def test_models_are_listed_from_available_to_cached_and_damaged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weights = catalog.MODELS["tiny"].weights
    tiny = listed("model", capsys)["tiny"]
    assert (tiny["status"], tiny["size_bytes"], tiny["path"]) == ("available", None, None)
    assert tiny["download_bytes"] == weights.download_bytes
    assert main(["model", "fetch", "tiny", "--download-only"]) == 0
    capsys.readouterr()
    tiny = listed("model", capsys)["tiny"]
    assert (tiny["status"], tiny["size_bytes"]) == ("downloaded", weights.size_bytes)
    assert main(["model", "fetch", "tiny"]) == 0
    capsys.readouterr()
    tiny, folder = listed("model", capsys)["tiny"], tmp_path / "cache" / "bedplate" / "models" / "tiny"
    assert (tiny["status"], tiny["path"]) == ("cached", str(folder))
    assert tiny["size_bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    os.truncate(folder / "model.safetensors", 10)
    assert listed("model", capsys)["tiny"]["status"] == "damaged"


def test_a_model_of_the_hub_is_listed_by_its_id(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "cache" / "bedplate" / "models" / "org--one")
    write_card(folder, ModelCard(kind=ModelKind.FETCHED, name="org/one", licence="MIT"))
    (folder.parent / "bare").mkdir()
    (folder.parent / ".other.partial").mkdir()
    found = listed("model", capsys)
    assert list(found) == ["smollm2-135m-instruct", "tiny", "bare", "org/one"]
    assert [found[name]["status"] for name in ("bare", "org/one")] == ["damaged", "cached"]
    assert (found["org/one"]["licence"], found["org/one"]["download_bytes"]) == ("MIT", None)


def test_texts_are_listed_and_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed("text", capsys)["sample"]["status"] == "available"
    assert main(["text", "fetch", "sample", "-o", "json"]) == 0
    file = Path(json.loads(capsys.readouterr().out)["file"])
    sample = listed("text", capsys)["sample"]
    assert (sample["status"], sample["path"], sample["size_bytes"]) == ("cached", str(file), file.stat().st_size)
    assert main(["text", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split("\t")[:3] == ["sample", "cached", "12 B"]
    assert main(["model", "fetch", "tiny", "--with-text"]) == 0
    assert f"texts\t{file}\n" in capsys.readouterr().out
    assert main(["text", "fetch", "smaple"]) == 3
    assert "did you mean 'sample'" in capsys.readouterr().err


def test_offline_is_exit_code_5_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_only(tmp_path / "cut off", monkeypatch)
    assert main(["model", "fetch", "tiny"]) == 5
    assert "go online once" in capsys.readouterr().err


def test_an_unknown_name_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "fetch", "tinny", "--download-only"]) == 3
    assert "did you mean 'tiny'" in capsys.readouterr().err
