"""Output that nobody takes: closed, full, or a reader that has left."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.command_line import CommandLine, ended


def through_shell(redirection: str) -> tuple[str, ...]:
    return ("sh", "-c", f'exec "$@" {redirection}', "sh")


@pytest.mark.parametrize("verb", [("ps",), ("events", "--subject", "service"), ("doctor", "--no-measure")])
def test_closed_standard_output_is_one_error_on_standard_error(command_line: CommandLine, verb: tuple[str, ...]) -> None:
    end = command_line.call(*verb, prefix=through_shell(">&-"))
    assert end.code == 2
    assert end.err.startswith("error [BP200]: standard output is closed")
    assert "1>/dev/null" in end.err
    assert not command_line.state.exists(), "nothing was started"


def test_closed_standard_error_is_one_error_on_standard_output(command_line: CommandLine) -> None:
    file = command_line.write("version: 1\nsteps:\n  a: {use: test.write}\n")
    end = command_line.call("run", file, prefix=through_shell("2>&-"))
    assert end.code == 2
    assert end.out.startswith("error [BP200]: standard error is closed")
    assert not command_line.state.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_the_output_is_one_error(command_line: CommandLine) -> None:
    end = command_line.call("ps", "-o", "json", prefix=through_shell(">/dev/full"))
    assert end.code == 5
    assert "the output cannot be written" in end.err
    assert "Traceback" not in end.err
    assert "Exception ignored" not in end.err


def test_a_reader_that_leaves_early_is_no_error(command_line: CommandLine) -> None:
    read, write = os.pipe()
    os.close(read)
    process = command_line.start("ps", "-o", "json", stdout=write)
    os.close(write)
    end = ended(process)
    assert (end.code, end.err) == (0, "")


def test_a_failed_run_is_failed_also_when_nobody_reads_its_output(command_line: CommandLine) -> None:
    file = command_line.write("version: 1\nsteps:\n  a: {use: test.fail}\n")
    read, write = os.pipe()
    os.close(read)
    process: subprocess.Popen[str] = command_line.start("run", file, "-o", "json", stdout=write)
    os.close(write)
    assert ended(process).code == 4
