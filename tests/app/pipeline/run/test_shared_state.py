"""Two machines on one PostgreSQL database: two folders for state, no file in common."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import CommandLine, ended, statuses, wait_until
from tests.state.conftest import postgres_port as postgres_port
from tests.state.conftest import postgres_url as postgres_url

GATED = """
version: 1
name: shared
steps:
  before: {use: test.write, text: a}
  gate:   {use: test.gate, opens: open, after: [before]}
"""


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    one, two = ({"XDG_STATE_HOME": str(tmp_path / name), "BEDPLATE_STATE": postgres_url} for name in ("one", "two"))
    return one, two


def test_a_run_is_visible_to_both_machines_and_starts_on_one(
    command_line: CommandLine, machines: tuple[Mapping[str, str], Mapping[str, str]], tmp_path: Path
) -> None:
    one, two = machines
    file = command_line.write(GATED)
    process = command_line.start("run", file, "-o", "json", environment=one)
    wait_until(lambda: list(tmp_path.glob("one/bedplate/postgresql/*/runs/*/gate/attempts.txt")), "the step", process)
    (seen,) = command_line.call("ps", "-o", "json", environment=two).json["runs"]
    assert (seen["status"], seen["pid"], seen["host"]) == ("running", process.pid, os.uname().nodename)
    second = command_line.call("run", file, environment=two)
    assert (second.code, "is already running" in second.err, f"process {process.pid}" in second.err) == (5, True, True)
    assert command_line.call("cancel", "shared", "-o", "json", environment=two).json["status"] == "cancelled"
    assert ended(process).json["status"] == "cancelled"
    (tmp_path / "open").touch()
    resumed = command_line.call("run", file, "-o", "json", environment=one)
    assert statuses(resumed.json) == [("before", "done"), ("gate", "done")]


def test_a_run_whose_machine_died_is_shown_as_failed(
    command_line: CommandLine, machines: tuple[Mapping[str, str], Mapping[str, str]], tmp_path: Path
) -> None:
    one, two = machines
    process = command_line.start("run", command_line.write(GATED), environment=one)
    wait_until(lambda: list(tmp_path.glob("one/bedplate/postgresql/*/runs/*/gate/attempts.txt")), "the step", process)
    process.kill()
    ended(process)
    seen = wait_until(
        lambda: (view := command_line.call("ps", "-o", "json", environment=two).json["runs"][0])["pid"] is None and view,
        "the server to notice",
    )
    assert seen["status"] == "failed"
    assert seen["error"]["error"] == "its process exited without recording a result"


def test_a_server_away_at_the_end_of_a_step_loses_nothing(
    command_line: CommandLine, machines: tuple[Mapping[str, str], Mapping[str, str]], tmp_path: Path, postgres_url: str
) -> None:
    process = command_line.start("run", command_line.write(GATED), "-o", "json", environment=machines[0])
    wait_until(lambda: list(tmp_path.glob("one/bedplate/postgresql/*/runs/*/gate/attempts.txt")), "the step", process)
    with server_away(postgres_url):
        (tmp_path / "open").touch()
        assert process.stderr is not None
        while "cannot be reached; trying again" not in (line := process.stderr.readline()):
            assert line, ended(process)
    end = ended(process)
    assert end.json["status"] == "done", end.err
    assert [len(file.read_text().split()) for file in tmp_path.glob("one/**/gate/attempts.txt")] == [1]
    kinds = [event["kind"] for event in command_line.call("events", "-o", "json", environment=machines[0]).json["events"]]
    assert kinds.count("step.done") == 2, "events of the outage were stored later"


@contextmanager
def server_away(url: str) -> Iterator[None]:
    """No session of the database lives, and none can begin."""
    import psycopg

    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
