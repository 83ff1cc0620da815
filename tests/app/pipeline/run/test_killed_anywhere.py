"""`kill -9` before and after every single write of a run: the same call goes on, and nothing is lost or done twice.

Each attempt runs in a forked process that kills itself at its n-th commit; n counts on until an attempt gets through.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

import bedplate
from bedplate.state.database.connections import Database
from tests.command_line import USES

PIPELINE = {
    "version": 1,
    "name": "fragile",
    "steps": {
        "a": {"use": "test.write", "text": "a"},
        "b": {"use": "test.write", "text": "b", "sources": ["$a"]},
        "c": {"use": "test.write", "text": "c", "sources": ["$a", "$b"]},
    },
}


def run_in_fork(state: Path, kill_at: int, *, after_commit: bool) -> int:
    """How the forked runner ended: 0, or minus the signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _kill_at_commit(kill_at, after_commit=after_commit)
            code = 0 if bedplate.run(PIPELINE, state=str(state), uses=USES).status == "done" else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill_at_commit(kill_at: int, *, after_commit: bool) -> None:
    real, count = Database.writing, 0

    @contextlib.contextmanager
    def writing(self: Database) -> Iterator[Connection]:
        nonlocal count
        count += 1
        is_the_one = count == kill_at
        with real(self) as connection:
            yield connection
            if is_the_one and not after_commit:
                os.kill(os.getpid(), signal.SIGKILL)
        if is_the_one:
            os.kill(os.getpid(), signal.SIGKILL)

    Database.writing = writing  # type: ignore[method-assign]


@pytest.mark.parametrize("after_commit", [False, True], ids=["before each commit", "after each commit"])
def test_a_runner_killed_at_any_write_is_gone_on_with(tmp_path: Path, after_commit: bool) -> None:
    kill_at, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        kill_at += 1
        assert kill_at < 60
        state = tmp_path / str(kill_at)
        ended = run_in_fork(state, kill_at, after_commit=after_commit)
        outcome = bedplate.run(PIPELINE, state=str(state), uses=USES)
        assert [step.status for step in outcome.steps] == ["done"] * 3
        assert (outcome.directory / "c" / "text.txt").read_text() == "aabc"
        runs = [(outcome.directory / name / "runs.txt").read_text().count("run") for name in "abc"]
        assert sorted(runs) in ([1, 1, 1], [1, 1, 2]), "at most the step that was cut off ran twice"
        ids = sorted(item.id for item in outcome.measurements)
        assert ids == ["peak_memory_bytes", "text_bytes", "text_bytes", "text_bytes"]
    assert ended == 0
    assert kill_at > 10, "a run of three steps writes more often than that"
