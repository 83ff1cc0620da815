"""States that are not there, damaged, of no use, or for reading only."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bedplate.core.errors import BedplateError, IntegrityError, UnavailableError
from bedplate.state.database import opening
from bedplate.state.database.location import StateLocation, read_location
from bedplate.state.store import StateStore
from tests.state.database.test_schema import make_old_state
from tests.state.samples import claim
from tests.state.without_rights import make_read_only, make_writable, run_without_rights

LOOK = """
import sys
from pathlib import Path
from bedplate.core.errors import BedplateError
from bedplate.state.database.location import read_location
from bedplate.state.store import StateStore
state = StateStore.open_existing(read_location(sys.argv[1], Path.home))
print(sorted(run.id for run in state.runs.page(9)))
try:
    state.runs.request_cancel("demo")
except BedplateError as error:
    print(type(error).__name__, error.what)
state.close()
"""
REFUSED = "UnavailableError the state cannot be written\n"


FULL = """
import sys
from pathlib import Path
from bedplate.core.errors import BedplateError
from bedplate.state.database.location import read_location
from bedplate.state.store import StateStore
from tests.state.samples import claim
disk = Path(sys.argv[1])
old = read_location(str(disk / "old"), Path.home)
state = StateStore.open(old)
claim(state)
state.close()
try:
    with (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(1024)):
            pass
except OSError:
    pass
try:
    StateStore.open(read_location(str(disk / "new"), Path.home))
except BedplateError as error:
    print(type(error).__name__, error.what)
state = StateStore.open_existing(old)
print(sorted(run.id for run in state.runs.page(9)))
try:
    state.runs.request_cancel("demo")
except BedplateError as error:
    print(type(error).__name__, error.what)
state.close()
"""


def on_a_full_disk(script: str, disk: Path) -> "subprocess.CompletedProcess[str]":
    """Run `script` where `disk` is a small file system of its own; skips where none can be mounted."""
    if shutil.which("unshare") is None:
        pytest.skip("a small file system: missing unshare")
    mount = 'mount -t tmpfs -o size=2m none "$0" || exit 77; exec "$@"'
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, str(disk), sys.executable, "-c", script, str(disk)]
    seen = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if seen.returncode == 77 or seen.stderr.startswith("unshare:"):
        pytest.skip(f"a small file system: {seen.stderr.strip()}")
    return seen


def look(folder: Path) -> "subprocess.CompletedProcess[str]":
    make_read_only(folder)
    try:
        return run_without_rights([sys.executable, "-c", LOOK, str(folder)], dict(os.environ))
    finally:
        make_writable(folder)


def here(folder: Path) -> StateLocation:
    return read_location(str(folder), lambda: folder)


def test_looking_at_a_state_that_is_not_there_makes_nothing(location: StateLocation, tmp_path: Path) -> None:
    assert StateStore.open_existing(location) is None
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_taken_as_a_new_state(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    assert StateStore.open_existing(here(tmp_path)) is None
    StateStore.open(here(tmp_path)).close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("this is a letter to a friend, and long enough to be no database " * 20)
    before = file.read_bytes()
    with pytest.raises(IntegrityError, match="damaged, or is not bedplate's"):
        StateStore.open(here(tmp_path))
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError) as raised:
        StateStore.open(here(tmp_path / "file"))
    assert "--state" in str(raised.value.next_step)


def test_a_read_only_state_is_read_and_refuses_to_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = StateStore.open(here(folder))
    claim(state)
    state.close()
    seen = look(folder)
    assert seen.stdout == f"['demo-kkkkkkkk']\n{REFUSED}", seen.stderr


def test_a_read_only_state_includes_a_killed_writers_log(tmp_path: Path) -> None:
    state = StateStore.open(here(tmp_path / "live"))
    claim(state)
    assert (tmp_path / "live" / "state.db-wal").stat().st_size > 0
    (tmp_path / "killed").mkdir()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(tmp_path / "live" / name, tmp_path / "killed" / name)
    state.close()
    seen = look(tmp_path / "killed")
    assert seen.stdout == f"['demo-kkkkkkkk']\n{REFUSED}", seen.stderr


def test_a_read_only_state_is_read_while_another_user_writes_it(tmp_path: Path) -> None:
    state = StateStore.open(here(tmp_path / "live"))
    claim(state)
    seen = look(tmp_path / "live")
    state.close()
    assert seen.stdout == f"['demo-kkkkkkkk']\n{REFUSED}", seen.stderr


def test_an_older_read_only_state_is_read_as_if_upgraded(tmp_path: Path) -> None:
    make_old_state(tmp_path / "old")
    before = (tmp_path / "old" / "state.db").read_bytes()
    seen = look(tmp_path / "old")
    assert seen.stdout == f"['before-f1f4d745', 'finished-b2dd2717']\n{REFUSED}", seen.stderr
    assert (tmp_path / "old" / "state.db").read_bytes() == before


def test_a_copy_for_reading_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old_state(tmp_path / "old")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    make_read_only(tmp_path / "old")
    environment = os.environ | {"TMPDIR": str(temporary)}
    seen = run_without_rights([sys.executable, "-c", LOOK, str(tmp_path / "old")], environment)
    make_writable(tmp_path / "old")
    assert seen.returncode == 0, seen.stderr
    assert list(temporary.iterdir()) == []


def test_on_a_full_disk_a_new_state_is_refused_and_an_old_one_is_read(tmp_path: Path) -> None:
    seen = on_a_full_disk(FULL, tmp_path)
    assert seen.stdout == f"UnavailableError the disk under the state is full\n['demo-kkkkkkkk']\n{REFUSED}", seen.stderr


def test_no_room_for_a_copy_either_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    StateStore.open(here(tmp_path)).close()
    monkeypatch.setattr("tempfile.TemporaryDirectory", no_room)
    with pytest.raises(UnavailableError, match="neither opened nor copied") as raised:
        opening._open_snapshot(here(tmp_path))
    assert "TMPDIR" in str(raised.value.next_step)


def test_a_table_that_is_missing_is_damage(tmp_path: Path) -> None:
    state = StateStore.open(here(tmp_path))
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("DROP TABLE metrics")
    connection.close()
    with pytest.raises(IntegrityError, match="damaged"):
        state.metrics.of_run("r", "loss")
    state.close()


def test_a_lock_that_is_never_released_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.state.database.connections.LOCK_TIMEOUT_S", 0)
    state = StateStore.open(here(tmp_path))
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked by another process"):
        claim(state)
    other.close()
    claim(state)
    state.close()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"port": 1}, UnavailableError, "cannot be reached"),
        ({"database": "nowhere"}, UnavailableError, "cannot be reached"),
        ({"username": "stranger"}, UnavailableError, "cannot be reached"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_reported(
    postgres_url: str, tmp_path: Path, change: dict[str, Any], kind: type[BedplateError], words: str
) -> None:
    location = read_location(postgres_url, lambda: tmp_path)
    wrong = StateLocation(url=location.url.set(**change), runs_folder=tmp_path)
    with pytest.raises(kind, match=words):
        StateStore.open(wrong)


def test_a_database_without_rights_to_write_is_reported_as_read_only(postgres_url: str, tmp_path: Path) -> None:
    location = read_location(postgres_url, lambda: tmp_path)
    state = StateStore.open(location)
    with state.database.writing() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader LOGIN")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = StateStore.open_existing(StateLocation(url=location.url.set(username="reader"), runs_folder=tmp_path))
    assert reader is not None
    assert reader.runs.page(5) == ()
    with pytest.raises(UnavailableError, match="cannot be written"):
        claim(reader)
    reader.close()
    with state.database.writing() as connection:
        connection.exec_driver_sql("DROP OWNED BY reader")
        connection.exec_driver_sql("DROP ROLE reader")
    state.close()


def test_a_session_that_the_server_cut_is_replaced(postgres_url: str, tmp_path: Path) -> None:
    state = StateStore.open(read_location(postgres_url, lambda: tmp_path))
    claim(state)
    with state.database.reading() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = StateStore.open(read_location(postgres_url, lambda: tmp_path))
    with other.database.writing() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
    assert len(state.runs.page(5)) == 1
    other.close()
    state.close()
