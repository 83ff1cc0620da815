"""Whatever a step reads is resolved from the folder of the file, and its content is part of what identifies the run."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest

import bedplate
from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.app.pipeline.file.definition import Pipeline
from bedplate.app.pipeline.file.identity import END_BYTES, identity_of
from bedplate.app.pipeline.file.inputs import input_identities, resolve_inputs, without_places
from bedplate.app.pipeline.file.reading import read_pipeline
from bedplate.core.errors import ConfigurationError
from bedplate.core.json import Json
from bedplate.core.settings import Input, InputFile, settings
from bedplate.documents.reading import read_document


@settings
class Reads:
    """A use case with every kind of input."""

    data: InputFile = "data.txt"
    """Must exist."""
    load: Annotated[str, Input(words=("chat",))] = "chat"
    """A word or a file."""
    model: Annotated[str, Input(or_name="a fetched model", name_pattern=r"[\w-]+(/[\w-]+)?")] = "tiny"
    """A name or a folder."""
    sources: tuple[InputFile, ...] = ()
    """Several."""
    title: str = ""
    """No path."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the file, with inputs; the working directory is another one with files of the same names."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    (here / "data.txt").write_text("x")
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text("{}")
    shutil.copytree(here, elsewhere)
    (elsewhere / "only-there").mkdir()
    monkeypatch.chdir(elsewhere)
    return here


@pytest.mark.parametrize(
    ("key", "written", "read"),
    [
        ("data", "data.txt", "{here}/data.txt"),
        ("data", "./data.txt", "{here}/data.txt"),
        ("data", "../here/data.txt", "{here}/data.txt"),
        ("load", "data.txt", "{here}/data.txt"),
        ("load", "chat", "chat"),
        ("model", "model", "{here}/model"),
        ("model", "tiny", "tiny"),
        ("model", "org/tiny", "org/tiny"),
        ("model", "only-there", "only-there"),
        ("model", "$model", "$model"),
        ("model", "$train/best", "$train/best"),
        ("title", "data.txt", "data.txt"),
        ("title", "./data.txt", "{here}/data.txt"),
    ],
)
def test_a_path_starts_at_the_folder_of_the_file(folder: Path, key: str, written: str, read: str) -> None:
    assert resolve_inputs(Reads, {key: written}, folder) == {key: read.format(here=folder)}


def test_a_list_is_resolved_item_by_item(folder: Path) -> None:
    assert resolve_inputs(Reads, {"sources": ["data.txt", "$one"]}, folder) == {"sources": [f"{folder}/data.txt", "$one"]}


def test_a_word_is_never_a_path_even_if_a_file_has_that_name(folder: Path) -> None:
    (folder / "chat").write_text("x")
    assert resolve_inputs(Reads, {"load": "chat"}, folder) == {"load": "chat"}


def test_a_dollar_sign_in_the_name_of_a_folder_is_no_reference(tmp_path: Path) -> None:
    folder = tmp_path / "a$b"
    folder.mkdir()
    (folder / "data.txt").write_text("x")
    written = resolve_inputs(Reads, {"data": "data.txt"}, folder)
    assert written == {"data": f"{tmp_path}/a$$b/data.txt"}
    assert len(list(input_identities(Reads, written, ContentDigests(tmp_path / "digests.json")))) == 1


def test_on_a_command_line_a_dollar_sign_is_only_that(tmp_path: Path) -> None:
    (tmp_path / "a$b").write_text("x")
    assert resolve_inputs(Reads, {"data": "a$b"}, tmp_path, has_references=False) == {"data": f"{tmp_path}/a$b"}


@pytest.mark.parametrize(
    ("key", "written", "next_step"),
    [
        ("data", "date.txt", "did you mean 'data.txt'?"),
        ("data", "", "check the path"),
        ("data", "x" * 5000, "check the path"),
        ("data", "~no-such-user-here/x", "check the path"),
        ("load", "chta", "did you mean 'chat'?"),
        ("load", "only-there", "check the path"),
        ("model", "./tiny", "check the path"),
        ("model", "tiny.gguf", "check the path"),
        ("sources", ["data.txt", "only-there"], "check the path"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_nearest_name(folder: Path, key: str, written: Json, next_step: str) -> None:
    with pytest.raises(ConfigurationError, match="names a file that does not exist") as raised:
        resolve_inputs(Reads, {key: written}, folder)
    assert raised.value.next_step == next_step


def read(folder: Path) -> Pipeline:
    return read_pipeline(read_document(folder / "file.yaml"))


def test_the_same_file_in_another_project_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "notes.jsonl").write_text(f'{{"text": "{name}"}}\n')
        (folder / "file.yaml").write_text("version: 1\nsteps:\n  corpus: {use: data.text, source: notes.jsonl}\n")
        monkeypatch.chdir(folder)
        pipeline = read(Path())
        assert pipeline.steps[0].settings({}).source == str(folder / "notes.jsonl")
        keys.append(pipeline.key())
    assert keys[0] != keys[1]


def test_a_run_in_one_project_does_not_answer_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {}
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "notes.jsonl").write_text(f'{{"text": "{name} a"}}\n{{"text": "{name} b"}}\n')
        (folder / "file.yaml").write_text("version: 1\nsteps:\n  corpus: {use: data.text, source: notes.jsonl}\n")
        monkeypatch.chdir(tmp_path / "one")
        outcome = bedplate.run(folder / "file.yaml", state=str(tmp_path / "state"))
        corpus = outcome.path_of("corpus")
        assert corpus is not None
        texts[name] = (outcome.was_done_before, (corpus / "train.jsonl").read_text())
    assert [done for done, _ in texts.values()] == [False, False]
    assert "one" in texts["one"][1]
    assert "two" in texts["two"][1]


def test_the_key_does_not_depend_on_the_working_directory(folder: Path, tmp_path: Path) -> None:
    (folder / "file.yaml").write_text("version: 1\nsteps:\n  corpus: {use: data.text, source: data.txt}\n")
    key = read(folder).key()
    os.chdir(tmp_path)
    assert read(Path("here")).key() == key


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "config.json").write_text('{"eos_token_id": 2}')
    (folder / "parts" / "weights.bin").write_bytes(bytes(1 << 20))
    return folder


def identities(folder: Path) -> object:
    """What identifies a folder; digests are kept as they are in the user's cache."""
    digests = ContentDigests(folder.with_name("digests.json"))
    found = list(identity_of(folder, ("tokens-*",), digests))
    digests.save()
    return found


def edit_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"eos_token_id": 3}')


def edit_the_end(folder: Path) -> None:
    with (folder / "parts" / "weights.bin").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"x")


def edit_the_beginning(folder: Path) -> None:
    with (folder / "parts" / "weights.bin").open("r+b") as stream:
        stream.write(b"x")


def edit_the_middle(folder: Path) -> None:
    with (folder / "parts" / "weights.bin").open("r+b") as stream:
        stream.seek(1 << 19)
        stream.write(b"x")


@pytest.mark.parametrize("edit", [edit_config, edit_the_end, edit_the_beginning, edit_the_middle])
def test_an_edit_that_keeps_size_and_time_is_seen(model: Path, edit: Callable[[Path], None]) -> None:
    before = identities(model)
    times = {file: file.stat().st_mtime_ns for file in model.rglob("*")}
    edit(model)
    for file, mtime_ns in times.items():
        os.utime(file, ns=(mtime_ns, mtime_ns))
    assert identities(model) != before


def test_neither_touching_nor_moving_an_input_is_a_change(model: Path) -> None:
    before = identities(model)
    for file in model.rglob("*"):
        os.utime(file)
    assert identities(model) == before
    assert identities(model.rename(model.with_name("elsewhere"))) == before
    assert identities(shutil.copytree(model.with_name("elsewhere"), model)) == before


def test_a_renamed_file_is_a_change(model: Path) -> None:
    before = identities(model)
    (model / "parts" / "weights.bin").rename(model / "parts" / "other.bin")
    assert identities(model) != before


def test_an_empty_folder_is_not_the_same_as_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert identities(tmp_path / "empty") == [["", "folder"]]


def test_new_files_in_a_folder_count_unless_bedplate_made_them(model: Path) -> None:
    before = identities(model)
    (model / "tokens-0123").mkdir()
    (model / "tokens-0123" / "shard.bin").write_text("x")
    (model / ".model.lock").write_text("")
    assert identities(model) == before
    (model / "parts" / "more.bin").write_text("x")
    assert identities(model) != before


def test_links_are_followed_once(model: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "more.txt").write_text("1")
    (model / "link").symlink_to(outside)
    (model / "loop").symlink_to(model)
    before = identities(model)
    (outside / "more.txt").write_text("22")
    assert identities(model) != before


def test_a_pipe_in_a_folder_is_not_waited_for(model: Path) -> None:
    before = identities(model)
    os.mkfifo(model / "pipe")
    assert identities(model) == before


def test_beyond_the_budget_both_ends_and_the_time_count(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.app.pipeline.file.identity.BUDGET_BYTES", 100)
    weights = model / "parts" / "weights.bin"
    with weights.open("r+b") as stream:
        stream.write(b"b" * END_BYTES)
    digests = ContentDigests(model.with_name("digests.json"))
    found = {name: facts for name, *facts in identity_of(model, (), digests)}
    assert found["config.json"][1] == hashlib.blake2b(b'{"eos_token_id": 2}', digest_size=16).hexdigest()
    ends = hashlib.blake2b(b"b" * END_BYTES + bytes(END_BYTES), digest_size=16).hexdigest()
    assert found["parts/weights.bin"] == [1 << 20, ends, weights.stat().st_mtime_ns]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline and its input; the cache is a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "notes.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (folder / "file.yaml").write_text("version: 1\nsteps:\n  corpus: {use: data.text, source: notes.jsonl}\n")
    return folder


def test_a_moved_and_touched_project_keeps_its_finished_work(project: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert not bedplate.run(project / "file.yaml", state=state).was_done_before
    moved = project.rename(tmp_path / "moved")
    os.utime(moved / "notes.jsonl")
    assert bedplate.plan(moved / "file.yaml", state=state).steps[0].is_done
    assert bedplate.run(moved / "file.yaml", state=state).was_done_before
    (moved / "notes.jsonl").write_text('{"text": "one"}\n{"text": "TWO"}\n')
    assert not bedplate.run(moved / "file.yaml", state=state).was_done_before


def test_a_plan_keeps_no_digests(project: Path, tmp_path: Path) -> None:
    (project / "notes.jsonl").write_text('{"text": "one"}\n' * 40_000)
    os.utime(project / "notes.jsonl", (1, 1))
    bedplate.plan(project / "file.yaml", state=str(tmp_path / "state"))
    assert not (tmp_path / "cache").exists()


def test_a_path_that_no_type_calls_an_input_stays_part_of_the_key() -> None:
    written: dict[str, Json] = {"data": "/a/data.txt", "title": "/a/out", "model": "tiny", "sources": ["/b/x", "$one"]}
    assert without_places(Reads, written) == {
        "data": ["input", "data.txt"],
        "title": "/a/out",
        "model": "tiny",
        "sources": [["input", "x"], "$one"],
    }
