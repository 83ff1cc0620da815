"""What `--state` means: every character of a folder's name is that character, and no two values share a database."""

from pathlib import Path

import pytest

import bedplate
from bedplate.core.errors import UsageError
from bedplate.state.database.location import StateLocation, read_location
from tests.command_line import USES

ODD_NAMES = ["what?", "what?mode=memory", "50%25", "50%", "a#b", "a b", "日本", "a&b=c", "file:x"]


def read(text: str | None, tmp_path: Path) -> StateLocation:
    return read_location(text, lambda: tmp_path / "home")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_with_any_characters_holds_its_own_state(tmp_path: Path, name: str) -> None:
    bedplate.run({"version": 1, "steps": {"a": {"use": "test.write"}}}, state=str(tmp_path / name), uses=USES)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in (tmp_path / name).iterdir()} >= {"state.db", "runs"}


def test_a_url_is_percent_decoded(tmp_path: Path) -> None:
    location = read(f"sqlite:///{tmp_path}/50%25%3F.db", tmp_path)
    assert location.file == tmp_path / "50%?.db"
    assert location.runs_folder == tmp_path / "50%?.runs"


def test_runs_of_two_files_in_one_folder_have_two_folders(tmp_path: Path) -> None:
    pipeline = {"version": 1, "name": "same", "steps": {"a": {"use": "test.write"}}}
    outcomes = [
        bedplate.run(pipeline, state=f"sqlite:///{tmp_path}/{name}.db", uses=USES) for name in ("a", "b", "state", "a", "b")
    ]
    folders = [outcome.directory.parent for outcome in outcomes]
    assert folders == [tmp_path / name for name in ("a.runs", "b.runs", "runs", "a.runs", "b.runs")]


def test_nothing_means_the_default_folder(tmp_path: Path) -> None:
    assert read(None, tmp_path).file == tmp_path / "home" / "state.db"


@pytest.mark.parametrize(
    "text",
    [
        *("", "nodialect:///x", "mysql://h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:////x.db?mode=ro"),
        *("postgresql://host", "postgresql://host:x/d", "a\0b"),
    ],
)
def test_a_value_that_names_no_state_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read(text, tmp_path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_runs_of_two_databases_have_two_folders(tmp_path: Path, scheme: str) -> None:
    one, two = (read(f"{scheme}://me:secret@db.example/{name}", tmp_path) for name in ("a?b=c", "b"))
    assert one.url.drivername == "postgresql+psycopg"
    assert one.runs_folder != two.runs_folder
    assert one.runs_folder.is_relative_to(tmp_path / "home")


def test_messages_do_not_show_a_password(tmp_path: Path) -> None:
    assert "secret" not in str(read("postgresql://me:secret@db.example/runs", tmp_path))
    with pytest.raises(UsageError) as raised:
        read("postgresql://me:secret@db.example:port/runs", tmp_path)
    assert "secret" not in str(raised.value)
