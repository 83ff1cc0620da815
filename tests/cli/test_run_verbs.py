"""`run`, `plan`, `ps`, `logs`, `events`, `cancel` as people and scripts call them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bedplate
from tests.command_line import USES, CommandLine, ended, statuses, wait_until
from tests.state.without_rights import make_read_only, make_writable, run_without_rights

PIPELINE = """
version: 1
name: demo
needs: {workers: {want: 2}}
steps:
  write: {use: test.write, text: a, times: 3}
  gang:  {use: test.gang, size: 2, after: [write]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A command line with one finished run of PIPELINE; its tests only look."""
    command_line = CommandLine(folder=tmp_path_factory.mktemp("finished"))
    end = command_line.call("run", command_line.write(PIPELINE))
    assert end.code == 0, end.err
    return command_line


def test_run_prints_the_document_that_scripts_read(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "-o", "json")
    assert end.code == 0, end.err
    document = end.json
    assert document["status"] == "done"
    assert statuses(document) == [("write", "done"), ("gang", "done")]
    assert all(step["seconds"] > 0 for step in document["steps"])
    assert document["report"] is None
    by_id = {item["id"]: item for item in document["measurements"]}
    assert (by_id["text_bytes"]["value"], by_id["text_bytes"]["provenance"]) == (3.0, "measured")
    assert by_id["text_bytes"]["at_s"] > 1e9, "the runner dates what the step did not"
    assert 10e6 < by_id["peak_memory_bytes"]["value"] < 1e9
    assert by_id["peak_memory_bytes"]["unit"] == "bytes"
    assert by_id["peak_memory_bytes"]["hardware"].startswith(f"{len(os.sched_getaffinity(0))} x ")


def test_run_reports_on_stderr_and_prints_a_table_on_stdout(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE))
    assert end.out.splitlines()[1].startswith("write\tdone\t")
    assert "text_bytes\t3 B\tmeasured\n" in end.out
    assert "[write] wrote text.txt" in end.err
    assert "[gang] running: test.gang" in end.err


@pytest.mark.parametrize(
    ("language", "words"), [("C.UTF-8", "Grade everything that was measured"), ("zh_CN.UTF-8", "对五个部分的所有测量评分")]
)
def test_explain_gives_reasons_and_what_to_try_next(command_line: CommandLine, language: str, words: str) -> None:
    file = command_line.write(PIPELINE + "  score: {use: score, after: [gang]}\n")
    end = command_line.call("run", file, "--explain", environment={"LANG": language, "LC_ALL": language})
    assert words in end.err
    assert "so that a later step has something" in end.err, "a step of a user's own, which no catalogue knows"
    assert "Runs a gang of small processes" in end.err, "the docstring, where there is no text of its own"
    assert "bedplate events demo-" in end.err


def test_plan_shows_the_run_and_writes_nothing(command_line: CommandLine) -> None:
    file = command_line.write(PIPELINE)
    document = command_line.call("plan", file, "-o", "json").json
    assert document["run_id"] is None
    assert [(step["name"], step["would"]) for step in document["steps"]] == [("write", "run"), ("gang", "run")]
    assert document["steps"][0]["settings"] == {"text": "a", "sources": [], "times": 3, "pause": 0.0}
    assert document["steps"][1]["after"] == ["write"]
    num_cores = len(os.sched_getaffinity(0))
    assert document["steps"][1]["lines"] == [f"start 2 of {num_cores} possible tasks"]
    assert document["devices"][0]["kind"] == "cpu"
    assert sorted(path.name for path in command_line.folder.iterdir()) == ["pipeline.yaml"]


def test_plan_shows_settings_as_people_write_them(command_line: CommandLine) -> None:
    file = command_line.write(
        "version: 1\nsteps:\n  a: {use: test.write, text: x, times: 40000, pause: 90}\n"
        "  serve: {use: bench.serve, model: $a, kv: [off, on]}\n"
        "  train: {use: train, model: $a, data: $a, warm_up: 0.05}\n"
    )
    lines = [line.strip() for line in command_line.call("plan", file).out.splitlines()]
    assert {"text: x", "sources: []", "times: 40k", "pause: 1.5m", "kv: [off, on]", "memory: 1GB", "vs:"} <= set(lines)
    assert {"warm_up: 5%", "checkpoint: {every: 2, in: memory, disk_every: 10}", "drill:"} <= set(lines)


def test_plan_names_what_is_done_and_would_be_skipped(command_line: CommandLine) -> None:
    file = command_line.write(PIPELINE + "  last: {use: test.fail, after: [gang]}\n")
    run_id = command_line.call("run", file, "-o", "json").json["run_id"]
    end = command_line.call("plan", file)
    assert f"would resume run {run_id}" in end.out
    assert "1. write (test.write): already done, would be skipped" in end.out
    assert "3. last (test.fail, after gang)\n" in end.out


def test_logs_are_found_by_step_and_rank(finished: CommandLine) -> None:
    assert finished.call("logs").out == "gang gang-1 rank 0 | hello from rank 0\ngang gang-1 rank 1 | hello from rank 1\n"
    (log,) = finished.call("logs", "demo", "gang", "--rank", "1", "-o", "json").json["logs"]
    assert (log["rank"], log["attempt"], log["text"]) == (1, 1, "hello from rank 1\n")
    assert "no task has written anything" in finished.call("logs", "last", "write").err
    unknown = finished.call("logs", "last", "gnag")
    assert (unknown.code, "did you mean 'gang'?" in unknown.err) == (3, True)


def test_events_tell_the_story_of_steps_and_tasks(finished: CommandLine) -> None:
    kinds = [(event["step"], event["kind"]) for event in finished.call("events", "-o", "json").json["events"]]
    assert kinds[:3] == [("write", "step.started"), ("write", "step.done"), ("gang", "step.started")]
    assert sorted(kinds[3:-1]) == [("gang", "task.exited")] * 2 + [("gang", "task.started")] * 2
    assert kinds[-1] == ("gang", "step.done")
    only = finished.call("events", "last", "--kind", "task.exited").out.splitlines()
    assert len(only) == 2
    assert "cause=finished" in only[0]


def test_events_are_read_in_pages(finished: CommandLine) -> None:
    everything = finished.call("events", "-o", "json").json["events"]
    numbers: list[int] = []
    after = 0
    while page := finished.call("events", "--limit", "3", "--after", after, "-o", "json").json["events"]:
        assert len(page) <= 3
        numbers += [event["number"] for event in page]
        after = page[-1]["number"]
    assert numbers == [event["number"] for event in everything]


def test_events_of_a_subject_are_found_without_a_run(finished: CommandLine) -> None:
    run_id = finished.call("ps", "-o", "json").json["runs"][0]["run_id"]
    events = finished.call("events", "--subject", f"step:{run_id}/write", "-o", "json").json["events"]
    assert [event["kind"] for event in events] == ["step.started", "step.done"]
    assert events[0]["subject"] == {"kind": "step", "id": f"{run_id}/write"}
    assert finished.call("events", "--subject", "device", "-o", "json").json["events"] == []
    wrong = finished.call("events", "--subject", "devise")
    assert (wrong.code, "did you mean 'device'?" in wrong.err) == (2, True)


def test_a_verb_that_is_no_run_leaves_its_events_in_the_state(command_line: CommandLine) -> None:
    assert "no events yet" in command_line.call("events", "--subject", "service:doctor").err
    doctor = command_line.call("doctor", "--no-measure", "--state", command_line.state, "-o", "json").json
    found = command_line.call("events", "--subject", "service:doctor", "-o", "json").json
    not_ok = [check["name"] for check in doctor["checks"] if check["status"] != "ok"]
    assert [event["attributes"]["check"] for event in found["events"]] == not_ok
    assert {event["kind"] for event in found["events"]} == {"host.check_failed"}
    assert {event["run_id"] for event in found["events"]} == {None}
    assert found["run_id"] is None


def test_following_events_and_logs_ends_with_the_run(command_line: CommandLine) -> None:
    file = command_line.write(
        "version: 1\nsteps:\n  gang: {use: test.gang}\n  gate: {use: test.gate, opens: open, after: gang}\n"
    )
    run = command_line.start("run", file)
    wait_until(lambda: "gate.waiting" in command_line.call("events").out, "the step that waits", run)
    events, logs = command_line.start("events", "--follow"), command_line.start("logs", "-f")
    assert logs.stdout is not None
    assert logs.stdout.readline() == "gang gang-1 rank 0 | hello from rank 0\n"
    assert logs.poll() is None
    (command_line.folder / "open").touch()
    assert ended(run).code == 0
    assert ended(events).out.splitlines()[-1].endswith("s"), "the last event is the step's end and its time"
    assert ended(logs).code == 0


def test_ps_lists_runs_the_newest_first(command_line: CommandLine) -> None:
    assert command_line.call("ps", "-o", "json").json == {"runs": [], "next": None}
    for name in ("one", "two"):
        bedplate.run(
            {"version": 1, "name": name, "steps": {"a": {"use": "test.write"}}}, state=str(command_line.state), uses=USES
        )
    assert [run["name"] for run in command_line.call("ps", "-o", "json").json["runs"]] == ["two", "one"]
    assert command_line.call("ps", "one").out.splitlines()[1].startswith("one-")
    first = command_line.call("ps", "--limit", "1", "-o", "json").json
    assert [run["name"] for run in first["runs"]] == ["two"]
    second = command_line.call("ps", "--limit", "1", "--before", first["next"], "-o", "json").json
    assert [run["name"] for run in second["runs"]] == ["one"]
    assert command_line.call("ps", "--before", second["next"], "-o", "json").json == {"runs": [], "next": None}


@pytest.mark.parametrize("verb", ["ps", "logs", "events", "cancel"])
def test_a_run_that_is_not_there_is_not_found(finished: CommandLine, verb: str) -> None:
    unknown = finished.call(verb, "demp")
    assert unknown.code == 3
    assert "there is no run 'demp'" in unknown.err


def test_where_nothing_ever_ran_looking_makes_nothing(command_line: CommandLine) -> None:
    empty = command_line.call("logs")
    assert (empty.code, "there is no run" in empty.err) == (3, True)
    assert "no runs yet" in command_line.call("ps").err
    assert not command_line.state.exists()


def test_cancelling_a_finished_run_changes_nothing(finished: CommandLine) -> None:
    assert finished.call("cancel", "demo", "-o", "json").json["status"] == "done"


def test_bad_files_and_options_are_told_in_json_too(command_line: CommandLine) -> None:
    file = command_line.write(PIPELINE.replace("times: 3", "tims: 3"))
    end = command_line.call("run", file, "-o", "json")
    assert (end.code, end.out) == (2, "")
    assert f"{file}:6: unknown key 'tims'" in end.err
    assert "did you mean 'times'?" in end.err
    assert not command_line.state.exists(), "nothing is stored before the file is understood"
    assert command_line.call("run", "nowhere.yaml").code == 3
    engine = command_line.call("run", command_line.write(PIPELINE), "--engine", "locl")
    assert (engine.code, "did you mean 'local'?" in engine.err) == (2, True)
    assert command_line.call("run", file, "--use", "nonsense").code == 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be left out of one")
def test_a_resumed_run_leaves_out_what_a_finished_step_found_bad(command_line: CommandLine) -> None:
    all_cores = len(os.sched_getaffinity(0))
    file = command_line.write(
        "version: 1\nsteps:\n  screen: {use: test.gang, exclude: true}\n  stop: {use: test.fail, mended_by: open}\n"
        f"  fits: {{use: test.gang, size: {all_cores - 1}, after: stop}}\n"
        f"  too_large: {{use: test.gang, size: {all_cores}, after: fits}}\n"
    )
    assert command_line.call("run", file).code == 4
    (command_line.folder / "open").touch()
    again = command_line.call("run", file, "-o", "json")
    assert statuses(again.json)[2:] == [("fits", "done"), ("too_large", "failed")]
    assert again.code == 5
    assert again.json["error"]["code"] == "BP501", "the engine has one core less than the machine"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written_is_told(command_line: CommandLine) -> None:
    command_line.state.mkdir()
    command_line.state.chmod(0o500)
    end = command_line.call("run", command_line.write(PIPELINE))
    assert (end.code, "--state" in end.err) == (5, True)


def test_a_state_below_a_file_is_told(command_line: CommandLine) -> None:
    command_line.state.write_text("in the way")
    end = command_line.call("run", command_line.write(PIPELINE))
    assert (end.code, "--state" in end.err) == (5, True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.getuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_run_stopped_by_a_full_disk_resumes_with_space(command_line: CommandLine, small_disk: Path) -> None:
    file = command_line.write(
        "version: 1\nsteps:\n  a: {use: test.write}\n  b: {use: test.write, times: 100k, text: 0123456789ab}\n"
    )
    full = command_line.call("run", file, "--state", small_disk / "state")
    assert full.code == 5
    assert "full" in full.err
    assert "free some" in full.err
    assert "Traceback" not in full.err
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again = command_line.call("run", file, "--state", small_disk / "state", "-o", "json")
    assert again.json["status"] == "done", again.err
    assert (Path(again.json["directory"]) / "a" / "runs.txt").read_text() == "run\n"


def test_a_disk_too_small_for_any_state_is_told(command_line: CommandLine, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1 << 20)[: (1 << 20) - 8192])
    full = command_line.call("run", command_line.write(PIPELINE), "--state", small_disk / "state")
    assert (full.code, "full" in full.err, "Traceback" in full.err) == (5, True, False)


def test_a_gang_that_a_step_forgot_ends_with_the_step(command_line: CommandLine) -> None:
    all_cores = len(os.sched_getaffinity(0))
    file = command_line.write(
        f"version: 1\nsteps:\n  a: {{use: test.leave}}\n  b: {{use: test.gang, size: {all_cores}, after: a}}\n"
    )
    end = command_line.call("run", file)
    assert end.code == 0, end.err
    told = command_line.call("events", "last", "--kind", "task.exited").out.splitlines()
    assert "a task.exited forgotten-1 rank 0" in told[0]
    assert "cause=cancelled" in told[0]


def test_a_state_that_can_only_be_read_is_read(command_line: CommandLine) -> None:
    assert command_line.call("run", command_line.write(PIPELINE)).code == 0
    as_owner = {verb: command_line.call(verb).out for verb in ("ps", "events", "logs")}
    make_read_only(command_line.state)
    try:
        for verb, out in as_owner.items():
            words = [sys.executable, "-m", "bedplate", verb, "--state", str(command_line.state)]
            seen = run_without_rights(words)
            assert (seen.returncode, seen.stdout, seen.stderr) == (0, out, "")
        refused = run_without_rights([sys.executable, "-m", "bedplate", "cancel", "last", "--state", str(command_line.state)])
        assert refused.returncode == 0, "it is done: nothing to write"
    finally:
        make_writable(command_line.state)


def test_ps_shows_runs_where_no_service_runs(finished: CommandLine) -> None:
    end = finished.call("ps", "-v", "-o", "json")
    assert end.code == 0 and end.json["runs"] and end.json["jobs"] is None
    assert "jobs are not shown: no service of this state is running" in end.err


def test_options_that_the_service_would_ignore_are_refused(command_line: CommandLine) -> None:
    for words in (("run", "--engine", "ray-local"), ("run", "--explain"), ("plan", "--engine", "ray-local")):
        end = command_line.call(words[0], "any.yaml", "--submit", *words[1:])
        assert end.code == 2 and f"{words[1]} means nothing with --submit" in end.err, end.err
    end = command_line.call("cancel", "job-1", "--force")
    assert end.code == 2 and "--force means nothing for a job of the service" in end.err


def test_a_service_that_cannot_start_in_the_background_says_why_as_in_the_foreground(command_line: CommandLine) -> None:
    before = command_line.call("up", "--engine", "absent://here")
    behind = command_line.call("up", "--engine", "absent://here", "--detach")
    assert before.code == behind.code == 2
    assert before.err == behind.err
