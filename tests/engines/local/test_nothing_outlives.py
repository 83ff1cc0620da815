"""However a task, its supervisor or its keeper ends: no process, scratch directory or port of theirs is left.

Supervisors of these tests run in a process of their own, so that they can be killed for real. Tasks start a child in a
session of its own and a daemon that forked twice and cleared its environment; all three pids are known.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from bedplate.core.workload import ExitCause, TaskEventKind
from bedplate.engines.base import GangHandle
from bedplate.engines.local.engine import LocalEngine
from bedplate.engines.local.process_tree import descendants
from tests.engines.registry import open_local_engine
from tests.engines.workloads import gang, task
from tests.json_values import integer_at, list_at

GONE_S = 2.0
"""Time within which everything must have vanished."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    usable = sorted(os.sched_getaffinity(0))
    engine = open_local_engine(tmp_path / "engine", (usable * 2)[:2])
    yield engine
    engine.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


def wait_until(is_met: Callable[[], bool], timeout_s: float = GONE_S) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not is_met():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def family(engine: LocalEngine, tmp_path: Path, then: str = "stay") -> tuple[GangHandle, list[int]]:
    """A running gang of one, and the pids of the task, its child and its daemon."""
    handle = engine.submit(gang(task("have_descendants", {"directory": str(tmp_path), "then": then})))
    events = engine.events(handle)
    while not any(event.kind is TaskEventKind.PROGRESS for event in events):
        assert engine.events(handle, len(events), wait_s=20), engine.logs(handle, 0)
        events = engine.events(handle)
    progress = next(event for event in events if event.kind is TaskEventKind.PROGRESS)
    pids = [integer_at(progress.attributes, "pids", index) for index in range(3)]
    assert len(list_at(progress.attributes, "pids")) == 3
    return handle, pids


def test_descendants_of_a_killed_task_are_gone_by_its_exit(engine: LocalEngine, tmp_path: Path) -> None:
    handle, pids = family(engine, tmp_path)
    assert all(map(is_alive, pids))
    engine.kill(handle, 0, signal.SIGKILL)
    engine.wait(handle, 20)
    assert [pid for pid in pids if is_alive(pid)] == []


def test_descendants_of_a_task_are_gone_once_its_exit_is_reported(engine: LocalEngine, tmp_path: Path) -> None:
    handle, pids = family(engine, tmp_path, then="return")
    assert engine.wait(handle, 20).tasks[0].cause is ExitCause.FINISHED
    assert [pid for pid in pids if is_alive(pid)] == []


def test_descendants_of_a_cancelled_task_are_gone_when_cancel_returns(engine: LocalEngine, tmp_path: Path) -> None:
    handle, pids = family(engine, tmp_path)
    engine.cancel(handle, grace_s=1)
    assert [pid for pid in pids if is_alive(pid)] == []


def test_close_leaves_no_process_and_no_scratch(engine: LocalEngine, tmp_path: Path) -> None:
    others = set(descendants(os.getpid()))  # what another test's engine of this session has running
    _, pids = family(engine, tmp_path)
    engine.close()
    assert [pid for pid in pids if is_alive(pid)] == []
    assert set(descendants(os.getpid())) <= others
    assert [path.name for path in (tmp_path / "engine").rglob("scratch-*")] == []


def test_tasks_of_one_gang_survive_the_end_of_another(engine: LocalEngine, tmp_path: Path) -> None:
    first, first_pids = family(engine, tmp_path)
    (other := tmp_path / "other").mkdir()
    _, second_pids = family(engine, other)
    engine.cancel(first)
    assert [pid for pid in first_pids if is_alive(pid)] == []
    assert all(map(is_alive, second_pids))


def test_a_shared_memory_segment_of_a_killed_task_is_removed(engine: LocalEngine) -> None:
    handle = engine.submit(gang(task("hold_shared_memory")))
    events = engine.events(handle)
    while not any(event.kind is TaskEventKind.PROGRESS for event in events):
        assert engine.events(handle, len(events), wait_s=20), engine.logs(handle, 0)
        events = engine.events(handle)
    segment = Path("/dev/shm") / str(events[-1].attributes["name"])
    assert segment.exists()
    engine.kill(handle, 0, signal.SIGKILL)
    engine.wait(handle, 20)
    assert not segment.exists()


def keeper_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_terminated_keeper_takes_its_process_tree_along(engine: LocalEngine, tmp_path: Path) -> None:
    handle, pids = family(engine, tmp_path)
    os.kill(keeper_of(pids[0]), signal.SIGTERM)
    assert engine.wait(handle, 20).tasks[0].cause is ExitCause.SIGNAL
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_killed_keeper_takes_its_task_along(engine: LocalEngine, tmp_path: Path) -> None:
    handle, (task_pid, child, daemon) = family(engine, tmp_path)
    assert list((tmp_path / "engine").glob("*/scratch-*"))
    os.kill(keeper_of(task_pid), signal.SIGKILL)
    (ended,) = engine.wait(handle, 20).tasks
    try:
        assert ended.cause is ExitCause.SIGNAL
        assert "keeper" in ended.message
        assert not list((tmp_path / "engine").glob("*/scratch-*"))
        assert wait_until(lambda: not is_alive(task_pid) and not is_alive(child))
    finally:
        os.kill(daemon, signal.SIGKILL)  # it cleared its environment: the one case that is out of reach


SUPERVISOR = """
import os, sys, time
from pathlib import Path
from bedplate.app.wiring import local_engine
from bedplate.core.workload import TaskEventKind
from tests.engines.workloads import gang, task

root, end = Path(sys.argv[1]), sys.argv[2]
usable = sorted(os.sched_getaffinity(0))
engine = local_engine(root / "engine", (usable * 2)[:2])
handle = engine.submit(gang(*[task("have_descendants", {"directory": str(root)})] * 2))
pids, seen = [], 0
while len(pids) < 6:
    events = engine.events(handle, seen, wait_s=20)
    seen += len(events)
    for event in events:
        pids += event.attributes.get("pids", [])
print(*pids, flush=True)
if end == "forked copy":
    if (copy := os.fork()) == 0:
        time.sleep(10)
        os._exit(0)
    print(copy, flush=True)
if end == "raise":
    raise RuntimeError("the supervisor is broken")
if end == "return":
    sys.exit(0)
time.sleep(300)
"""


def start_supervisor(tmp_path: Path, end: str) -> tuple[subprocess.Popen[str], list[int]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), end],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    pids = [int(word) for word in stdout_of(supervisor).readline().split()]
    assert len(pids) == 6
    return supervisor, pids


def stdout_of(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_supervisor_that_a_signal_ended(tmp_path: Path, number: signal.Signals) -> None:
    supervisor, pids = start_supervisor(tmp_path, "stay")
    keepers = descendants(supervisor.pid)
    supervisor.send_signal(number)
    supervisor.wait(10)
    everything = {*pids, *keepers}
    assert wait_until(lambda: not any(map(is_alive, everything))), [pid for pid in everything if is_alive(pid)]
    assert wait_until(lambda: not list((tmp_path / "engine").rglob("scratch-*")))
    stdout_of(supervisor).close()


@pytest.mark.parametrize("end", ["raise", "return"])
def test_nothing_outlives_a_supervisor_that_did_not_close(tmp_path: Path, end: str) -> None:
    supervisor, pids = start_supervisor(tmp_path, end)
    supervisor.wait(10)
    assert wait_until(lambda: not any(map(is_alive, pids))), [pid for pid in pids if is_alive(pid)]
    stdout_of(supervisor).close()


def test_nothing_outlives_a_killed_supervisor_with_a_forked_copy(tmp_path: Path) -> None:
    supervisor, pids = start_supervisor(tmp_path, "forked copy")
    copy = int(stdout_of(supervisor).readline())
    supervisor.kill()
    supervisor.wait(10)
    try:
        assert wait_until(lambda: not any(map(is_alive, pids))), [pid for pid in pids if is_alive(pid)]
        assert is_alive(copy)
    finally:
        os.kill(copy, signal.SIGKILL)
        stdout_of(supervisor).close()
