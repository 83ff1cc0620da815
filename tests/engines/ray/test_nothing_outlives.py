"""However a driver or the owner of a local cluster ends: no task, agent, raylet or session directory is left."""

import os
import signal
import time
from pathlib import Path

import psutil

from bedplate.engines.local.process_tree import descendants
from bedplate.engines.ray.cluster import LocalRayCluster, remove_abandoned
from tests.command_line import CommandLine, wait_until
from tests.engines.ray.test_faults import wait_for_free_cores

GONE_S = 30.0
LONG = "version: 1\nname: long\nsteps:\n  long: {use: test.gang, size: 2, lasts: 300s}\n"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command_of(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def tasks_of(step: str, under: int) -> list[int]:
    """Processes below `under` that run a task of the step."""
    mark = f"BEDPLATE_TASK={step}/".encode()
    found = []
    for pid in descendants(under):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if mark in environment and "bedplate.engines.local.bootstrap" in command_of(pid):
            found.append(pid)
    return found


def assert_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + GONE_S
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline_s, [command_of(pid)[:200] for pid in left]
        time.sleep(0.05)


def test_tasks_die_with_their_driver_and_their_cores_are_free_again(
    cluster: LocalRayCluster, command_line: CommandLine
) -> None:
    file = command_line.write(LONG)
    driver = command_line.start("run", file, "--engine", f"ray://{cluster.address}")
    wait_until(lambda: len(tasks_of("long", os.getpid())) == 2, "two tasks", driver)
    pids = tasks_of("long", os.getpid())
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert_gone(pids)
    wait_for_free_cores(6)


def test_a_local_cluster_and_its_directory_go_with_the_owner(command_line: CommandLine) -> None:
    file = command_line.write(LONG)
    owner = command_line.start("run", file, "--engine", "ray-local")
    wait_until(lambda: len(tasks_of("long", owner.pid)) == 2, "two tasks", owner)
    pids = descendants(owner.pid)
    raylets = [command for pid in pids if "/raylet --raylet_socket_name=" in (command := command_of(pid))]
    assert len(raylets) == 4
    root = Path(raylets[0].partition("--raylet_socket_name=")[2].split()[0]).parents[4]
    assert root.name.startswith("bp-ray-")
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert_gone(pids)
    deadline_s = time.monotonic() + GONE_S
    while left := list(root.glob("*/scratch-*")):
        assert time.monotonic() < deadline_s, left
        time.sleep(0.05)
    remove_abandoned()
    assert not root.exists(), "what is left are logs, and the next cluster removes them"


def test_a_living_clusters_directory_is_not_abandoned(cluster: LocalRayCluster) -> None:
    ours = [root for root in Path("/tmp").glob("bp-ray-*") if (root / "head-1").exists()]
    assert ours
    remove_abandoned()
    assert [root for root in ours if not root.exists()] == []
