"""A share of a core: the kernel holds the task to it, really, or the engine refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.core.control_groups import PREFIX, power
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Gang, Resources, Task, TaskState
from bedplate.engines.local import start
from bedplate.engines.local.engine import LocalEngine
from tests.engines.registry import open_local_engine

ABLE = power()
needs_control_groups = pytest.mark.skipif(not (ABLE.cpu and ABLE.memory), reason=ABLE.why_not or "they can be made")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    import os

    engine = open_local_engine(tmp_path, sorted(os.sched_getaffinity(0))[:1])
    yield engine
    engine.close()


def burning(cpu_milli: int | None = None) -> Task:
    entry = "tests.engines.local.share_tasks:burn"
    return Task(entry=entry, spec={"seconds": 2.0}, resources=Resources(cpu_milli=cpu_milli))


def groups_left() -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").glob(f"**/{PREFIX}*") if path.is_dir()]


@needs_control_groups
def test_a_task_gets_the_share_of_a_core_that_it_asked_for_and_no_more(engine: LocalEngine) -> None:
    status = engine.wait(engine.submit(Gang(name="share", tasks=(burning(cpu_milli=300),))))
    assert status.state is TaskState.DONE, status.tasks[0].message
    assert status.tasks[0].result is not None
    used = status.tasks[0].result["used_frac"]
    assert isinstance(used, float)
    assert used < 0.4  # without a limit: 1, or what other work leaves of the core
    assert groups_left() == []


@needs_control_groups
def test_the_memory_of_a_share_is_a_hard_limit(engine: LocalEngine) -> None:
    task = Task(
        entry="tests.engines.local.share_tasks:fill",
        spec={"num_bytes": 400_000_000},
        resources=Resources(cpu_milli=500, memory_bytes=150_000_000),
    )
    status = engine.wait(engine.submit(Gang(name="memory", tasks=(task,))))
    assert (status.tasks[0].state, status.tasks[0].cause) == (TaskState.FAILED, ExitCause.MEMORY)
    assert groups_left() == []


@needs_control_groups
def test_what_a_task_starts_is_held_to_the_share_too(engine: LocalEngine) -> None:
    entry = "tests.engines.local.share_tasks:burn_in_children"
    task = Task(entry=entry, spec={"seconds": 1.5, "children": 2}, resources=Resources(cpu_milli=200))
    status = engine.wait(engine.submit(Gang(name="children", tasks=(task,))))
    assert status.tasks[0].result is not None, status.tasks[0].message
    used = status.tasks[0].result["used_frac"]
    assert isinstance(used, float)
    assert used < 0.3


def test_where_nothing_enforces_a_share_it_is_refused(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from bedplate.core.control_groups import Power

    monkeypatch.setattr(start, "power", lambda: Power(cpu=False, memory=False, why_not="no writable control group for cpu"))
    with pytest.raises(UnavailableError, match="share of a core") as caught:
        engine.submit(Gang(name="refused", tasks=(burning(cpu_milli=300),)))
    assert "no writable control group" in str(caught.value)
    assert engine.wait(engine.submit(Gang(name="whole", tasks=(burning(),)))).state is TaskState.DONE


@pytest.mark.parametrize("cpu_milli", [0, 9, 1001, -5])
def test_an_impossible_share_is_refused(engine: LocalEngine, cpu_milli: int) -> None:
    with pytest.raises(UsageError, match="no such limit"):
        engine.submit(Gang(name="refused", tasks=(burning(cpu_milli=cpu_milli),)))
