"""`bedplate compute simulate` of jobs, as people call it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def call(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bedplate", "compute", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


def test_policies_stand_side_by_side_with_report_timeline_and_jobs(tmp_path: Path) -> None:
    asked = (
        "--generate",
        "jobs=60,tenants=2,seed=3",
        "--cluster",
        "2x8:A100,2x4:V100",
        "--policy",
        "fifo",
        "--policy",
        "fair/fgd",
    )
    files = ("--report", "report.html", "--trace", "trace.json", "--save-jobs", "jobs.csv")
    done = call(*asked, *files, "-o", "json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["provenance"] == "simulated" and answer["devices"] == 24 and answer["trace"]["jobs"] == 60
    assert [policy["policy"] for policy in answer["policies"]] == ["fifo", "fair/fgd"]
    for policy in answer["policies"]:
        assert policy["completed"] == 60 and policy["never_run"] == 0
        assert 0 < policy["allocation_to_the_end_frac"] <= 1 and 0 < policy["allocation_frac"] <= 1
        assert policy["queueing_s"]["p50"] <= policy["queueing_s"]["p99"]
        assert policy["completion_s"]["mean"] >= policy["queueing_s"]["mean"]
        assert set(policy["by_tenant"]) == {"tenant-0", "tenant-1"}
        assert sum(group["jobs"] for group in policy["by_size"].values()) == 60
    page = (tmp_path / "report.html").read_text()
    assert page.count('<svg class="plot"') == 5 and "fair/fgd" in page and "<script" not in page
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    assert slices and all(event["dur"] >= 0 and {"pid", "tid", "ts", "name"} <= set(event) for event in slices)
    again = call("--jobs", "jobs.csv", "--cluster", "2x8:A100,2x4:V100", "--policy", "fifo", "-o", "json", folder=tmp_path)
    first, second = answer["policies"][0], json.loads(again.stdout)["policies"][0]
    assert {key: first[key] for key in first if key != "seconds"} == {key: second[key] for key in second if key != "seconds"}


def test_the_table_names_each_policy(tmp_path: Path) -> None:
    done = call("--generate", "jobs=20", "--cluster", "2x8:A100", "--policy", "fifo", "--policy", "shortest")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("policy\tcompleted\tallocated")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[1:]] == ["fifo", "shortest"]
    assert "20 jobs read (generated)" in done.stderr


def test_a_policy_of_ones_own_is_named_by_its_module(tmp_path: Path) -> None:
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "__init__.py").write_text("")
    (tmp_path / "my_lab" / "spread.py").write_text(
        "from bedplate.compute.scheduler.placement.best_fit import make_policy as make_policy\n"
    )
    (tmp_path / "my_lab" / "largest_first.py").write_text(
        "class Rule:\n"
        "    def job_key(self, job):\n"
        "        return -job.request.workers * job.request.devices\n"
        "def make_rule(settings):\n"
        "    return Rule()\n"
    )
    asked = (
        "--generate",
        "jobs=20",
        "--cluster",
        "2x8:A100",
        "--policy",
        "my_lab.largest_first+age/my_lab.spread",
        "-o",
        "json",
    )
    done = call(*asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["policies"][0]["completed"] == 20


@pytest.mark.parametrize(
    ("arguments", "code", "seen"),
    [
        (("--cluster", "2x8:A100"), 2, "jobs or generate"),
        (("--generate", "jobs=3"), 2, "nodes or cluster"),
        (("--generate", "jobs=3", "--cluster", "2x8"), 2, "NODESxDEVICES:MODEL"),
        (("--generate", "jobs=3", "--cluster", "2x8:A100", "--policy", "fare"), 2, "did you mean 'fair'"),
        (("--generate", "jobs=3", "--cluster", "2x8:A100", "--policy", "fair/fdg"), 2, "did you mean 'fgd'"),
        (("--generate", "jobs=3", "--cluster", "2x8:A100", "--tune", "2"), 2, "tune"),
        (("--generate", "jobs=3", "--cluster", "2x8:A100", "--speeds", "A100=0"), 2, "speeds"),
        (("--generate", "jobs=300k", "--cluster", "2x8:A100", "--trace", "t.json"), 2, "at most 200000"),
        (("--jobs", "absent.csv", "--cluster", "2x8:A100"), 3, "absent.csv"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(arguments: tuple[str, ...], code: int, seen: str, tmp_path: Path) -> None:
    done = call(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert seen in done.stderr


def test_a_trace_of_which_too_much_is_left_out_is_a_failed_check(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("id,submitted,duration,cpu\na,0,60,1\nb,0,,1\n")
    done = call("--jobs", "jobs.csv", "--cluster", "1x8:A100", folder=tmp_path)
    assert done.returncode == 4 and "1 not finished: it has no end (jobs.csv:3)" in done.stderr
    done = call("--jobs", "jobs.csv", "--cluster", "1x8:A100", "--most-left-out", "50%", "--policy", "fifo", folder=tmp_path)
    assert done.returncode == 0 and "1 left out" in done.stderr


@pytest.mark.parametrize("option", ["--report", "--trace", "--save-jobs"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, option: str) -> None:
    asked = ("--generate", "jobs=20", "--cluster", "2x8:A100", option)
    for place in ("absent/file", "."):
        done = call(*asked, place, folder=tmp_path)
        assert done.returncode == 2 and "a file in a folder that exists" in done.stderr, done.stderr
        assert "policy fifo" not in done.stderr


def test_names_that_nothing_has_are_told(tmp_path: Path) -> None:
    asked = ("--generate", "jobs=20,tenants=2", "--cluster", "2x8:A100", "--policy", "fifo")
    done = call(*asked, "--speeds", "A100=2,a10=3", "--weights", "tenant-0=2,tenant-9=3")
    assert done.returncode == 0, done.stderr
    assert "note: no node and no job has a10, which speeds names; there are A100" in done.stderr
    assert "no node and no job has tenant-9, which weights names; there are tenant-0, tenant-1" in done.stderr


def test_what_is_missing_is_named_with_an_example() -> None:
    done = call("--generate", "jobs=20")
    assert done.returncode == 2
    assert "exactly one of nodes or cluster is needed" in done.stderr and "--cluster 6x8:A100" in done.stderr
