"""`bedplate doctor` as people and scripts call it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def call(home: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    command = [sys.executable, "-m", "bedplate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


@contextmanager
def other_work() -> Iterator[None]:
    """A process that takes as much as it gets of a core that doctor measures on."""
    code = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_doctor_measures_each_device_and_stores_undisturbed_rates(tmp_path: Path) -> None:
    done = call(tmp_path, "doctor", "--budget", "600ms", "-o", "json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert set(report) == {"devices", "checks"}
    for device in report["devices"]:
        assert {"kind", "vendor", "model", "memory_bytes", "measured"} <= set(device)
        assert set(device["measured"]["matmul_flops"]) == {"fp32", "bf16", "int8"}
        assert all(rate > 1e8 for rate in device["measured"]["matmul_flops"].values())
        assert device["measured"]["memory_bandwidth_bytes_per_s"] > 1e8
    assert all({"name", "status", "fix"} <= set(check) for check in report["checks"])
    assert {check["status"] for check in report["checks"]} <= {"ok", "warn", "unknown"}

    again = json.loads(call(tmp_path, "doctor", "--no-measure", "-o", "json").stdout)
    for device, remembered in zip(report["devices"], again["devices"], strict=True):
        if not device["measured"]["disturbed"]:  # else this machine has other work while it runs the tests
            assert remembered["measured"] == device["measured"]


def test_rates_measured_beside_other_work_are_marked_and_not_stored(tmp_path: Path) -> None:
    with other_work():
        shown = call(tmp_path, "doctor", "--budget", "400ms", "--state", str(tmp_path / "state"))
    assert "disturbed: other work took up to" in shown.stdout
    assert "\twarn\t" in shown.stdout
    assert re.search(r"\t\d+\.\d\?\t", shown.stdout), "disturbed rates carry a question mark"
    assert not (tmp_path / "state/device-rates.json").exists()


def test_what_was_never_measured_is_null_and_unknown(tmp_path: Path) -> None:
    report = json.loads(call(tmp_path, "doctor", "--no-measure", "-o", "json").stdout)
    assert report["devices"][0]["measured"]["matmul_flops"] == {"fp32": None, "bf16": None, "int8": None}
    assert {check["name"]: check["status"] for check in report["checks"]}["measure-cpu:0"] == "unknown"


def test_accelerators_are_listed_with_their_health_and_not_measured_as_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixtures = Path(__file__).parents[1] / "compute" / "inventory" / "fixtures" / "npu-smi"
    tool = tmp_path / "npu-smi"
    tool.write_text(
        f'#!/bin/sh\ncase "$*" in info) cat {fixtures}/info-910b.txt;; *topo) cat {fixtures}/topo-910b.txt;; *) exit 2;; esac\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = call(tmp_path, "doctor", "--budget", "300ms", "-o", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    npus = [device for device in report["devices"] if device["vendor"] == "huawei"]
    assert len(npus) == 4 and npus[0]["cores"]  # near cores, which must not be measured in its name
    assert all(device["measured"]["memory_bandwidth_bytes_per_s"] is None for device in npus)
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["measure-npu:0"]["status"] == "unknown"
    assert {name for name in checks if name.startswith("health-")} == {"health-npu:1", "health-npu:2", "health-npu:3"}
    assert "Alarm" in checks["health-npu:2"]["seen"]


def test_rates_that_were_damaged_on_disk_count_as_never_measured(tmp_path: Path) -> None:
    (tmp_path / "bedplate").mkdir()
    (tmp_path / "bedplate/device-rates.json").write_text('{"half": ')
    assert call(tmp_path, "doctor", "--no-measure").returncode == 0


def test_a_failed_check_is_exit_code_4_and_says_what_to_do() -> None:
    done = call("/proc/nowhere", "doctor", "--no-measure")
    assert done.returncode == 4
    assert "state-writable\tfail" in done.stdout
    assert "XDG_STATE_HOME" in done.stdout


def test_a_budget_without_a_unit_that_we_know_is_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "doctor", "--budget", "5 parsec")
    assert done.returncode == 2
    assert "5m, 250ms or 1.5h" in done.stderr


def test_standalone_preflight_names_the_kept_slots(tmp_path: Path) -> None:
    done = call(tmp_path, "ops", "preflight", "--budget", "300ms", "-o", "json")
    assert done.returncode == 0, done.stderr
    kept = json.loads(done.stdout)["kept"]
    assert kept
    assert {core for slot in kept for core in slot["cores"]} <= os.sched_getaffinity(0)
    assert list((tmp_path / "bedplate/preflight").glob("engine-*")) == []


def test_preflight_as_a_table_has_a_row_for_each_slot(tmp_path: Path) -> None:
    done = call(tmp_path, "ops", "preflight", "--budget", "200ms", "--cores-per-slot", str(len(os.sched_getaffinity(0))))
    assert done.stdout.splitlines()[0].startswith("slot\tcore\t")
    assert done.stdout.splitlines()[1].startswith("0\t")


def test_preflight_with_more_wanted_than_there_is_is_refused_at_once(tmp_path: Path) -> None:
    done = call(tmp_path, "ops", "preflight", "--min-slots", "500", "-o", "json")
    assert done.returncode == 5
    assert json.loads(done.stderr)["error"] == "the engine has fewer slots than the job needs"
