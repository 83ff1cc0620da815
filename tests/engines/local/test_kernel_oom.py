"""A task that the kernel's OOM killer takes is told apart from one that somebody killed.

The kill is real: the task enters a memory cgroup of 64 MB that the test makes, and takes more. Skips where no such
cgroup may be made (it needs root, and cgroup v1 or a delegated memory controller).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.wiring import local_engine
from bedplate.core.workload import ExitCause, TaskState
from tests.engines.workloads import gang, task

LIMIT_BYTES = 64_000_000


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    for parent, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
        group = parent / f"bedplate-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(LIMIT_BYTES))
            yield group
            return
        except OSError:
            continue  # this hierarchy has no memory controller here
        finally:
            group.rmdir()
    pytest.skip("no memory cgroup can be made here")


def test_the_kernels_oom_killer_is_named(tmp_path: Path, small_cgroup: Path) -> None:
    engine = local_engine(tmp_path, sorted(os.sched_getaffinity(0))[:1])
    spec = {"cgroup": str(small_cgroup), "bytes": 10 * LIMIT_BYTES}
    (ended,) = engine.wait(engine.submit(gang(task("grow_in_cgroup", spec))), 60).tasks
    engine.close()
    assert (ended.state, ended.exit_code, ended.cause) == (TaskState.FAILED, -9, ExitCause.MEMORY)
    assert "OOM killer" in ended.message
