"""The same command goes on after any kind of end: killed, cancelled, failed, two at once. Real processes, real signals."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import bedplate
from tests.command_line import USES, CommandLine, ended, statuses, wait_until

GATED = """
version: 1
name: gated
steps:
  before: {use: test.write, text: a}
  gate:   {use: test.gate, opens: open, after: [before]}
  after:  {use: test.write, text: c, sources: [$before, $gate]}
"""


@pytest.fixture
def opens(tmp_path: Path) -> Path:
    return tmp_path / "open"


@pytest.fixture
def gated(command_line: CommandLine) -> Path:
    return command_line.write(GATED)


def start_until_in_gate(command_line: CommandLine, file: Path, *arguments: str, attempt: int = 1) -> "subprocess.Popen[str]":
    process = command_line.start("run", file, "-o", "json", *arguments)
    wait_until(lambda: len(attempts(command_line)) == attempt, "the step that waits", process)
    return process


def attempts(command_line: CommandLine) -> list[str]:
    return [line for file in command_line.state.glob("runs/*/gate/attempts.txt") for line in file.read_text().split()]


def ps(command_line: CommandLine) -> Any:
    return command_line.call("ps", "last", "-o", "json").json["runs"][0]


def test_a_run_killed_in_mid_step_resumes_without_redoing_steps(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    process.kill()
    ended(process)
    killed = ps(command_line)
    assert (killed["status"], killed["pid"]) == ("failed", None)
    assert killed["error"]["error"] == "its process exited without recording a result"
    opens.touch()
    again = command_line.call("run", gated, "-o", "json")
    assert again.code == 0, again.err
    assert statuses(again.json) == [("before", "done"), ("gate", "done"), ("after", "done")]
    assert again.json["run_id"] == killed["run_id"]
    assert (Path(again.json["directory"]) / "before" / "runs.txt").read_text() == "run\n"
    assert len(attempts(command_line)) == 2, "the step that was cut off runs again in its own directory"
    assert (Path(again.json["directory"]) / "after" / "text.txt").read_text().startswith("a")


def test_a_finished_run_is_read_again_and_new_starts_another(command_line: CommandLine, gated: Path, opens: Path) -> None:
    opens.touch()
    first, again, other = (command_line.call("run", gated, "-o", "json", *new) for new in ((), (), ("--new",)))
    assert (first.json["was_done_before"], again.json["was_done_before"]) == (False, True)
    assert again.json["run_id"] == first.json["run_id"]
    assert again.json["measurements"] == first.json["measurements"]
    assert other.json["run_id"] == first.json["run_id"] + "-2"
    assert len(attempts(command_line)) == 2
    told = command_line.call("run", gated)
    assert f"run {other.json['run_id']} is already done; --new starts a new one" in told.err


def test_a_second_runner_is_kept_out_and_told_who_is_in(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    second = command_line.call("run", gated)
    assert second.code == 5
    assert re.search(rf"is already running.*process {process.pid} on ", second.err, re.DOTALL), second.err
    assert "bedplate cancel gated-" in second.err
    opens.touch()
    assert ended(process).code == 0
    assert len(attempts(command_line)) == 1


def test_a_run_goes_on_when_nobody_reads_its_lines_any_more(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    assert process.stderr is not None
    process.stderr.close()
    opens.touch()
    assert process.wait(60) == 0
    assert ps(command_line)["status"] == "done"


def test_two_different_runs_share_a_state(command_line: CommandLine, gated: Path, opens: Path) -> None:
    first = start_until_in_gate(command_line, gated)
    other = command_line.call(
        "run", command_line.write("version: 1\nname: other\nsteps:\n  a: {use: test.write}\n", "other.yaml")
    )
    assert other.code == 0, other.err
    opens.touch()
    assert ended(first).code == 0


def test_ps_shows_a_run_while_it_runs(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    seen = wait_until(lambda: (view := ps(command_line))["steps"][1]["progress"] and view, "progress in ps", process)
    assert (seen["status"], seen["pid"]) == ("running", process.pid)
    assert statuses(seen) == [("before", "done"), ("gate", "running"), ("after", "waiting")]
    assert seen["steps"][1]["progress"] == {"done": 1, "total": 10, "unit": "attempts"}
    opens.touch()
    assert ended(process).code == 0
    assert ps(command_line)["status"] == "done"


def test_a_run_cancelled_by_another_process_can_be_resumed(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    assert command_line.call("cancel", "gated", "-o", "json").json["status"] == "cancelled"
    end = ended(process)
    assert end.code == 1
    assert end.json["status"] == "cancelled"
    assert statuses(end.json) == [("before", "done"), ("gate", "cancelled"), ("after", "waiting")]
    opens.touch()
    assert command_line.call("run", gated).code == 0


def test_cancel_with_force_kills_a_run_that_does_not_listen(command_line: CommandLine) -> None:
    file = command_line.write(GATED.replace("opens: open", "opens: open, deaf: true"))
    process = start_until_in_gate(command_line, file)
    asked = command_line.call("cancel", "last", "--wait", "0.3")
    assert asked.code == 5
    assert "--force" in asked.err
    assert command_line.call("cancel", "last", "--wait", "0.1", "--force").code == 0
    assert ended(process).code == -signal.SIGKILL
    assert ps(command_line)["status"] == "cancelled"


def test_cancel_spares_a_process_that_reuses_a_dead_runners_pid(command_line: CommandLine, gated: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    process.kill()
    ended(process)
    lock = next(command_line.state.glob("runs/*/lock"))
    lock.write_text(lock.read_text().replace(str(process.pid), str(os.getpid())))
    assert command_line.call("cancel", "last", "--force").code == 0, "this test's own process would have been killed"
    assert ps(command_line)["status"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_ended_by_a_signal_can_be_resumed(
    command_line: CommandLine, gated: Path, opens: Path, number: signal.Signals
) -> None:
    process = start_until_in_gate(command_line, gated)
    process.send_signal(number)
    end = ended(process)
    assert end.code == 1
    assert f"{number.name}: ending cleanly; Ctrl-C again ends it immediately" in end.err
    assert end.json["status"] == "cancelled"
    assert "run the same command again to resume" in end.err
    assert ps(command_line)["error"]["seen"] == number.name
    opens.touch()
    again = command_line.call("run", gated, "-o", "json")
    assert again.json["status"] == "done"
    assert again.json["run_id"] == end.json["run_id"]


def test_a_closed_terminal_ends_a_run_cleanly(command_line: CommandLine, opens: Path) -> None:
    file = command_line.write(
        "version: 1\nname: gated\nsteps:\n  a: {use: test.gang, size: 1}\n  gate: {use: test.gate, opens: open, after: [a]}\n"
    )
    ours, theirs = pty.openpty()
    process = command_line.start("run", file, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_take_terminal)
    os.close(theirs)
    reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reader.start()
    wait_until(lambda: attempts(command_line), "the step that waits", process)
    os.close(ours)
    assert process.wait(30) == 1
    seen = ps(command_line)
    assert (seen["status"], seen["error"]["seen"]) == ("cancelled", "SIGHUP")
    assert statuses(seen) == [("a", "done"), ("gate", "cancelled")]
    opens.touch()
    assert command_line.call("run", file).code == 0


def test_a_run_that_was_started_to_survive_its_terminal_does(command_line: CommandLine, gated: Path, opens: Path) -> None:
    process = command_line.start("run", gated, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_until(lambda: attempts(command_line), "the step that waits", process)
    process.send_signal(signal.SIGHUP)
    opens.touch()
    assert ended(process).code == 0


def test_a_hangup_after_a_request_to_end_does_not_interrupt(command_line: CommandLine, gated: Path) -> None:
    process = start_until_in_gate(command_line, gated)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP):
        process.send_signal(number)
    end = ended(process)
    assert end.json["status"] == "cancelled"
    assert end.json["error"]["seen"] in ("SIGTERM", "SIGHUP"), "and not a second one of them"


def _take_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65536):
            pass


def test_a_second_signal_ends_even_a_step_that_does_not_listen(command_line: CommandLine) -> None:
    file = command_line.write(GATED.replace("opens: open", "opens: open, deaf: true"))
    process = command_line.start("run", file)
    wait_until(lambda: attempts(command_line), "the step that waits", process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    told = ""
    while "immediately" not in told:
        told = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 1
    assert ps(command_line)["status"] == "cancelled"


def test_a_failed_step_is_tried_again_by_the_same_command(command_line: CommandLine, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    file = command_line.write(
        "version: 1\nname: failing\nsteps:\n  a: {use: test.write}\n  b: {use: test.fail, mended_by: mended}\n"
        "  c: {use: test.write, after: [a, b]}\n"
    )
    failed = command_line.call("run", file, "-o", "json")
    assert failed.code == 4, "the exit code is that of the step's error"
    assert statuses(failed.json) == [("a", "done"), ("b", "failed"), ("c", "waiting")]
    assert failed.json["error"]["expected"] == "43"
    assert ps(command_line)["steps"][1]["error"]["error"] == "the answer is no"
    mended.touch()
    again = command_line.call("run", file, "-o", "json")
    assert (again.code, again.json["status"]) == (0, "done")
    assert (Path(again.json["directory"]) / "a" / "runs.txt").read_text() == "run\n"


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [("bug", 1, "ZeroDivisionError: by zero"), ("disk", 5, "failed: the disk is full")],
)
def test_what_a_step_raises_becomes_one_clear_error(command_line: CommandLine, how: str, code: int, words: str) -> None:
    file = command_line.write(f"version: 1\nsteps:\n  a: {{use: test.fail, how: {how}}}\n")
    failed = command_line.call("run", file)
    assert failed.code == code
    assert words in failed.err
    assert "Traceback" not in failed.err


def test_the_traceback_of_a_bug_is_kept_as_an_event(command_line: CommandLine) -> None:
    file = command_line.write("version: 1\nsteps:\n  a: {use: test.fail, how: bug}\n")
    failed = command_line.call("run", file)
    assert "--kind step.traceback" in failed.err
    events = command_line.call("events", "last", "--kind", "step.traceback", "-o", "json").json["events"]
    assert "fail.py" in events[0]["message"]


def test_a_deleted_result_reruns_its_step_and_dependents(tmp_path: Path) -> None:
    steps = {"a": {"use": "test.write"}, "b": {"use": "test.write", "sources": ["$a"]}, "c": {"use": "test.write"}}
    pipeline = {"version": 1, "steps": steps}
    directory = bedplate.run(pipeline, state=str(tmp_path), uses=USES).directory
    (directory / "a" / "text.txt").unlink()
    assert bedplate.run(pipeline, state=str(tmp_path), uses=USES).was_done_before is False
    assert [(directory / name / "runs.txt").read_text().count("run") for name in "abc"] == [2, 2, 1]


def test_changed_content_or_inputs_or_a_different_name_is_another_run(command_line: CommandLine, tmp_path: Path) -> None:
    text = "version: 1\nname: %s\nsteps:\n  a: {use: test.write, text: %s, sources: [./input.txt]}\n"
    (tmp_path / "input.txt").write_text("one")

    def run_id(name: str, content: str) -> str:
        return bedplate.run(command_line.write(text % (name, content)), state=str(command_line.state), uses=USES).run_id

    first = run_id("p", "a")
    assert run_id("p", "'a'") == first, "quotes change nothing"
    assert run_id("p", "b") != first
    assert run_id("q", "a") != first
    (tmp_path / "input.txt").write_text("other")
    assert run_id("p", "a") != first


def test_a_killed_runner_leaves_no_process_of_its_gangs(command_line: CommandLine, tmp_path: Path) -> None:
    file = command_line.write("version: 1\nsteps:\n  a: {use: test.gang, size: 2, lasts: 60s}\n")
    process = command_line.start("run", file)
    children = wait_until(lambda: len(found := psutil.Process(process.pid).children(recursive=True)) >= 2 and found, "tasks")
    wait_until(lambda: "hello" in command_line.call("logs").out, "the tasks to be at work", process)
    process.kill()
    ended(process)
    _gone, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_an_input_that_changes_during_the_run_is_not_called_done(command_line: CommandLine, opens: Path) -> None:
    source = command_line.folder / "text.txt"
    source.write_text("one")
    file = command_line.write(
        "version: 1\nname: changing\nsteps:\n"
        "  gate: {use: test.gate, opens: open}\n"
        "  copy: {use: test.write, sources: [./text.txt], after: [gate]}\n"
    )
    process = start_until_in_gate(command_line, file)
    source.write_text("two")
    opens.write_text("")
    result = ended(process)
    assert result.code == 4
    assert "text.txt" in result.err and "changed during the run" in result.err
    again = command_line.call("run", file, "-o", "json").json
    assert statuses(again) == [("gate", "done"), ("copy", "done")]
