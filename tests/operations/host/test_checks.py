"""Checks of a machine: what is wrong is seen on the real thing, and comes with what mends it."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.operations.host.checks import Check, HostFacts, check_host


def checks(tmp_path: Path, **changed: Any) -> dict[str, Check]:
    facts: dict[str, Any] = {"state": tmp_path / "state", "cache": tmp_path / "cache", **changed}
    return {check.name: check for check in check_host(HostFacts(**facts))}


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_check_fails_on_a_machine_that_runs_the_tests(tmp_path: Path) -> None:
    found = checks(tmp_path)
    for name in ("python", "state-writable", "cache-writable", "loopback", "clock", "memfd", "pidfd", "subreaper", "torch"):
        assert found[name].status == "ok", found[name]


def test_whatever_is_not_well_says_what_to_do(tmp_path: Path) -> None:
    for check in checks(tmp_path, cpu_limit=0.5, memory_limit_bytes=10**9).values():
        assert (check.fix == "") == (check.status == "ok"), check


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    checks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_files_fails(tmp_path: Path) -> None:
    found = checks(tmp_path, state=Path("/proc/bedplate"))
    assert found["state-writable"].status == "fail"
    assert "XDG_STATE_HOME" in found["state-writable"].fix
    assert found["disk-state"].status == "fail"


def test_a_low_limit_of_open_files_is_a_warning_with_its_ulimit(tmp_path: Path, few_descriptors: None) -> None:
    found = checks(tmp_path)["file-descriptors"]
    assert found.status == "warn"
    assert found.seen.startswith("512 ")
    assert found.fix.startswith("ulimit -n ")


def test_a_quota_below_the_cores_that_we_see_is_a_warning(tmp_path: Path) -> None:
    found = checks(tmp_path, cpu_limit=0.5)["affinity"]
    assert (found.status, "CPU time for only 0.5" in found.seen) == ("warn", True)


def test_a_containers_memory_limit_counts_and_not_the_machines(tmp_path: Path) -> None:
    assert checks(tmp_path, memory_limit_bytes=10**9)["memory"].status == "fail"


def test_a_fetched_model_is_found(tmp_path: Path) -> None:
    assert checks(tmp_path)["model-cache"].status == "warn"
    (tmp_path / "cache/models/tiny").mkdir(parents=True)
    (tmp_path / "cache/models/tiny/config.json").write_text("{}")
    assert checks(tmp_path)["model-cache"].seen == "tiny"


def test_a_vendors_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "npu-smi"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = checks(tmp_path, vendor_tools={"huawei": ("npu-smi", "no-such-tool")})["gpu-tools"]
    assert "npu-smi" in found.seen
    assert found.status == "warn"
