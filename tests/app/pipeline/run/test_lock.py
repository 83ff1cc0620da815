"""One runner a run, wherever its files and its state are."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from bedplate.app.pipeline.run.lock import UNKNOWN, holder_of, locked
from bedplate.app.pipeline.run.process import this_process
from bedplate.core.errors import UnavailableError
from bedplate.state.database.location import read_location
from bedplate.state.store import StateStore


def open_state(folder: Path) -> StateStore:
    return StateStore.open(read_location(str(folder), lambda: folder))


def test_the_holder_is_named_while_it_holds(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    with locked(tmp_path / "run", "run", state):
        assert holder_of(tmp_path / "run") == this_process()
    assert holder_of(tmp_path / "run") is None
    state.close()


def test_a_lock_of_the_first_version_is_respected_and_its_holder_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write('{"pid": 7, "host": "h"}')
        lock.flush()
        holder = holder_of(tmp_path / "run")
        assert holder is not None
        assert (holder.pid, holder.host, holder.boot_id) == (7, "h", "")
        lock.truncate(0)
        assert holder_of(tmp_path / "run") == UNKNOWN


def test_a_file_system_without_locks_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    state = open_state(tmp_path)
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(UnavailableError, match="cannot be locked here") as raised, locked(tmp_path / "run", "run", state):
        pass
    assert "--state" in str(raised.value.next_step)
    assert holder_of(tmp_path / "run") is None, "looking still works"
    state.close()
