"""Conformance: gangs start together or not at all, see who they are, and give back what they made."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.core.errors import NotFoundError, ResourcesError, UnavailableError, UsageError
from bedplate.core.workload import Gang, Task, TaskState
from bedplate.engines.base import CanInheritDescriptors, Engine, GangHandle
from tests.engines.registry import GAPS, EngineUnderTest
from tests.engines.seen import seen_by
from tests.engines.workloads import endless, failing, finishing, gang, task


def test_every_rank_runs_and_its_result_comes_back(engine: Engine) -> None:
    handle = engine.submit(gang(finishing({"of": "rank 0"}), finishing({"of": "rank 1"})))
    status = engine.wait(handle)
    assert status.state is TaskState.DONE
    assert [item.rank for item in status.tasks] == [0, 1]
    assert [item.result for item in status.tasks] == [{"of": "rank 0"}, {"of": "rank 1"}]
    assert [item.exit_code for item in status.tasks] == [0, 0]


def test_an_entry_may_return_nothing(engine: Engine) -> None:
    status = engine.wait(engine.submit(gang(finishing(None))))
    assert status.state is TaskState.DONE
    assert status.tasks[0].result is None


def test_a_result_may_be_larger_than_any_pipe(engine: Engine) -> None:
    result = {"text": "x" * 3_000_000}
    assert engine.wait(engine.submit(gang(finishing(result)))).tasks[0].result == result


@pytest.mark.needs("execution")
def test_a_task_sees_its_rank_the_world_and_one_rendezvous(engine: Engine) -> None:
    tasks = [task("describe", {"width": 7}) for _ in range(2)]
    status = engine.wait(engine.submit(gang(*tasks, name="seen")))
    seen = [seen_by(item) for item in status.tasks]
    assert [item.rank for item in seen] == [0, 1]
    assert {item.world_size for item in seen} == {2}
    assert {item.gang for item in seen} == {"seen"}
    assert len({item.rendezvous for item in seen}) == 1
    assert seen[0].spec["width"] == 7
    assert [item.cores for item in seen] == [item.cores for item in status.tasks]


@pytest.mark.needs("execution")
def test_ranks_meet_at_the_rendezvous(engine: Engine) -> None:
    status = engine.wait(engine.submit(gang(*[task("listen_at_rendezvous")] * 2, name="meeting")))
    assert [item.result for item in status.tasks] == [{"heard": ""}, {"heard": "meeting takes 1"}], status


@pytest.mark.needs("execution")
def test_a_task_gets_its_stores_environment_and_empty_scratch(engine: Engine) -> None:
    tasks = [
        Task(entry="tests.engines.tasks:describe", stores={"kv": "file:///kv"}, environment={"COLOUR": "blue"})
        for _ in range(2)
    ]
    seen = [seen_by(item) for item in engine.wait(engine.submit(gang(*tasks))).tasks]
    assert seen[0].stores == {"kv": "file:///kv"}
    assert seen[0].environment["COLOUR"] == "blue"
    assert seen[0].scratch_entries == ()
    assert seen[0].scratch != seen[1].scratch


@pytest.mark.needs("execution")
def test_settings_of_communication_libraries_follow_the_gang(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set for the driver, lost on the workers is a bug report of every launcher (kubeflow/trainer#3427)."""
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    monkeypatch.setenv("UCX_TLS", "tcp")
    own = Task(entry="tests.engines.tasks:describe", environment={"UCX_TLS": "self"})
    seen = [seen_by(item).environment for item in engine.wait(engine.submit(gang(task("describe"), own))).tasks]
    assert [(item["NCCL_DEBUG"], item["UCX_TLS"]) for item in seen] == [("INFO", "tcp"), ("INFO", "self")]


@pytest.mark.needs("files")
def test_a_gang_whose_files_cannot_be_made_holds_nothing(under_test: EngineUnderTest, tmp_path: Path) -> None:
    engine = under_test.engine
    engine.wait(engine.submit(gang(finishing())))
    (tmp_path / "engine").rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="could not be started"):
            engine.submit(gang(*[finishing()] * under_test.num_cores))
    (tmp_path / "elsewhere").rename(tmp_path / "engine")
    status = engine.wait(engine.submit(gang(*[finishing()] * under_test.num_cores)))
    assert status.state is TaskState.DONE
    assert len(engine.gangs()) == 2


def test_gangs_cancelled_as_soon_as_they_are_submitted_hold_nothing(under_test: EngineUnderTest) -> None:
    """A group of bundles that is removed before its workers have come up stayed reserved in Ray (ray#42942)."""
    engine, num_cores = under_test.engine, under_test.num_cores
    for _ in range(3):
        engine.cancel(engine.submit(gang(*[endless()] * num_cores)), 0.0)
    assert engine.wait(engine.submit(gang(*[finishing()] * num_cores))).state is TaskState.DONE


@pytest.mark.needs("inherited descriptors")
def test_a_task_reads_and_writes_a_memory_file_that_it_inherited(engine: Engine) -> None:
    assert isinstance(engine, CanInheritDescriptors)
    memory = os.memfd_create("shared")
    os.write(memory, b"written by the supervisor")
    reading = Task(entry="tests.engines.tasks:read_descriptor", inherited={"memory": memory})
    (ended,) = engine.wait(engine.submit(gang(reading))).tasks
    assert ended.result == {"text": "written by the supervisor"}
    assert os.pread(memory, 100, 0).startswith(b"written by the task")
    os.close(memory)


def test_an_engine_says_of_itself_whether_tasks_inherit_descriptors_and_refuses_them_if_not(engine: Engine) -> None:
    can = "inherited descriptors" not in GAPS.get(engine.name, {})
    assert isinstance(engine, CanInheritDescriptors) == can
    refused = contextlib.nullcontext() if can else pytest.raises(UsageError, match="cannot pass open descriptors")
    with refused:
        engine.submit(gang(Task(entry="tests.engines.tasks:finish", inherited={"standard input": 0})))
    assert len(engine.gangs()) == can


def test_a_refused_gang_names_what_was_asked_and_what_is_free(under_test: EngineUnderTest) -> None:
    num_cores = under_test.num_cores
    with pytest.raises(ResourcesError, match=rf"{num_cores + 1} tasks ask for {num_cores + 1} cores") as caught:
        under_test.engine.submit(gang(*[endless()] * (num_cores + 1)))
    assert caught.value.seen is not None
    assert "free: " in caught.value.seen
    assert under_test.engine.statistics().tasks_started == 0


def test_a_gang_that_does_not_fit_now_fits_once_another_ends(under_test: EngineUnderTest) -> None:
    engine, num_cores = under_test.engine, under_test.num_cores
    first = engine.submit(gang(endless()))
    with pytest.raises(ResourcesError):
        engine.submit(gang(*[finishing()] * num_cores))
    assert engine.statistics().tasks_running <= 1
    engine.cancel(first, grace_s=5)
    status = engine.wait(engine.submit(gang(*[finishing()] * num_cores)))
    assert status.state is TaskState.DONE


@pytest.mark.parametrize("ending", [finishing(), failing("broken")], ids=["done", "failed"])
def test_what_a_task_held_is_free_once_it_has_ended(under_test: EngineUnderTest, ending: Task) -> None:
    engine = under_test.engine
    for _ in range(2):
        engine.wait(engine.submit(gang(*[ending] * under_test.num_cores)))


def test_no_core_is_given_to_two_tasks_at_once(under_test: EngineUnderTest) -> None:
    handle = under_test.engine.submit(gang(*[endless()] * under_test.num_cores))
    listed = sorted(
        (node.id, core) for node in under_test.engine.resources() for device in node.devices for core in device.cores
    )
    taken = sorted((item.node, core) for item in under_test.engine.status(handle).tasks for core in item.cores)
    assert taken == listed


def with_variable(name: str, value: str) -> Gang:
    return Gang(name="variable", tasks=(Task(entry="a:b", environment={name: value}),))


@pytest.mark.parametrize(
    ("unfit", "words"),
    [
        (Gang(name="empty", tasks=()), "no tasks"),
        (gang(finishing(), name="a/b"), "invalid gang name"),
        (gang(finishing(), name="../up"), "invalid gang name"),
        (Gang(name="entry", tasks=(Task(entry="no_function"),)), "invalid entry"),
        (gang(finishing(cpus=0)), "at least one core"),
        (Gang(name="spec", tasks=(Task(entry="a:b", spec={"loss": float("nan")}),)), "not JSON"),
        (Gang(name="spec", tasks=(Task(entry="a:b", spec={"loss": object()}),)), "not JSON"),  # type: ignore[dict-item]
        (Gang(name="spec", tasks=(Task(entry="a:b", spec={"name": "\ud800"}),)), "not JSON"),
        (gang(finishing(), name="n" * 201), "invalid gang name"),
        (with_variable("A=B", "x"), "invalid environment variable 'A=B'"),
        (with_variable("", "x"), "invalid environment variable ''"),
        (with_variable("A", "x\0y"), "invalid environment variable 'A'"),
        (with_variable("A", "\udcff"), "invalid environment variable 'A'"),
        (with_variable("A", "x" * 200_000), "invalid environment variable 'A'"),
    ],
)
def test_a_gang_that_no_engine_could_run_is_refused(engine: Engine, unfit: Gang, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        engine.submit(unfit)


def test_a_gang_runs_only_on_nodes_with_its_labels(engine: Engine) -> None:
    with pytest.raises(ResourcesError):
        engine.submit(gang(finishing(), node_labels={"rack": "nowhere"}))


CALLS: dict[str, Callable[[Engine, GangHandle], object]] = {
    "status": lambda engine, handle: engine.status(handle),
    "events": lambda engine, handle: engine.events(handle),
    "wait": lambda engine, handle: engine.wait(handle, 0),
    "cancel": lambda engine, handle: engine.cancel(handle),
    "logs": lambda engine, handle: engine.logs(handle, 0),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_handle_of_another_engine_is_not_found(engine: Engine, call: str) -> None:
    with pytest.raises(NotFoundError, match="stranger-1"):
        CALLS[call](engine, GangHandle(id="stranger-1", name="stranger", num_tasks=1))


def test_a_rank_that_the_gang_lacks_is_refused(engine: Engine) -> None:
    handle = engine.submit(gang(finishing()))
    with pytest.raises(UsageError, match="no rank 1"):
        engine.logs(handle, 1)


def test_handles_of_two_gangs_of_one_name_differ(engine: Engine) -> None:
    first, second = engine.submit(gang(finishing())), engine.submit(gang(finishing()))
    assert first.id != second.id
    assert first.name == second.name == "gang"


def test_statistics_count_gangs_tasks_and_events(engine: Engine) -> None:
    engine.wait(engine.submit(gang(finishing())))
    engine.wait(engine.submit(gang(failing("broken"))))
    handle = engine.submit(gang(endless()))
    engine.events(handle, wait_s=30)
    running = engine.statistics()
    assert (running.gangs_submitted, running.gangs_running) == (3, 1)
    assert (running.tasks_started, running.tasks_running, running.tasks_failed) == (3, 1, 1)
    assert running.events >= 5
    assert running.events_dropped == 0


def test_resources_list_every_core_whether_taken_or_not(under_test: EngineUnderTest) -> None:
    before = under_test.engine.resources()
    assert len(before) == under_test.num_nodes
    assert sum(node.num_cores for node in before) == under_test.num_cores
    assert all(node.memory_bytes > 0 for node in before)
    under_test.engine.submit(gang(endless()))
    assert under_test.engine.resources() == before


def test_close_ends_gangs_keeps_their_record_and_is_idempotent(
    under_test: EngineUnderTest, wait_ready: Callable[[GangHandle], None]
) -> None:
    engine = under_test.engine
    handle = engine.submit(gang(endless()))
    wait_ready(handle)
    engine.close()
    engine.close()
    assert engine.status(handle).state is TaskState.CANCELLED
    assert engine.statistics().tasks_running == 0
    with pytest.raises(UsageError, match="closed"):
        engine.submit(gang(finishing()))
