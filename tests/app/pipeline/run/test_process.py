"""`cancel --force` ends the process that runs a run, and certainly no other."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.app.pipeline.run.process import (
    ProcessIdentity,
    identity_as_json,
    identity_from_json,
    kill,
    this_process,
)
from bedplate.core.errors import UnavailableError
from tests.command_line import CommandLine, ended, wait_until

PRINT_IDENTITY = (
    "import json, sys\n"
    "from bedplate.app.pipeline.run.process import identity_as_json, this_process\n"
    "print(json.dumps(identity_as_json(this_process())), flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def other() -> Iterator["tuple[subprocess.Popen[str], ProcessIdentity]"]:
    """A process that waits, and what it says of itself."""
    import json

    process = subprocess.Popen([sys.executable, "-c", PRINT_IDENTITY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    identity = identity_from_json(json.loads(process.stdout.readline()))
    assert identity is not None
    yield process, identity
    process.kill()
    process.communicate()


def test_a_process_is_known_by_more_than_its_number() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert here.boot_id
    assert here.pid_namespace.startswith("pid:[")
    assert here.start_ticks > 0
    assert identity_from_json(identity_as_json(here)) == here
    assert identity_from_json({"pid": "x", "host": ""}) is None


def test_the_process_that_was_meant_is_killed(other: "tuple[subprocess.Popen[str], ProcessIdentity]") -> None:
    process, identity = other
    kill(identity)
    assert process.wait(30) == -signal.SIGKILL
    kill(identity)  # it has ended: nothing to do


@pytest.mark.parametrize(
    "change",
    [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}, {"start_ticks": 0}, {"boot_id": "", "pid_namespace": ""}],
)
def test_a_process_elsewhere_or_unknown_is_refused(
    other: "tuple[subprocess.Popen[str], ProcessIdentity]", change: dict[str, Any]
) -> None:
    process, identity = other
    with pytest.raises(UnavailableError, match="its process"):
        kill(dataclasses.replace(identity, **change))
    assert process.poll() is None


def test_a_process_that_got_the_number_later_is_left_alone(
    other: "tuple[subprocess.Popen[str], ProcessIdentity]",
) -> None:
    process, identity = other
    kill(dataclasses.replace(identity, start_ticks=identity.start_ticks - 1))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)


def _can_unshare(*options: str) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", *options, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("options", [("--pid", "--fork", "--mount-proc"), ("--pid", "--fork")], ids=["own proc", "outer proc"])
def test_cancel_with_force_refuses_a_run_in_another_container(
    command_line: CommandLine, tmp_path: Path, options: tuple[str, ...]
) -> None:
    if not _can_unshare(*options):
        pytest.skip("unshare, and the right to make a PID namespace, are needed")
    file = command_line.write("version: 1\nname: gated\nsteps:\n  gate: {use: test.gate, opens: open, deaf: true}\n")
    process = command_line.start("run", file, prefix=("unshare", *options, "--kill-child"))
    wait_until(lambda: list(command_line.state.glob("runs/*/gate/attempts.txt")), "the step that waits", process)
    refused = command_line.call("cancel", "gated", "--wait", "0.2", "--force")
    assert refused.code == 5
    assert "another container" in refused.err
    (tmp_path / "open").touch()
    assert ended(process).code in (0, 1), "it was asked to end, and ended by itself"
