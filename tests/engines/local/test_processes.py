"""What only an engine of real processes can be asked: cores, threads, descriptors, limits, ports, speed."""

import mmap
import os
import resource
import signal
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.compute.inventory import this_node
from bedplate.core.devices import Device, Visibility
from bedplate.core.errors import ResourcesError, UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Resources, Task, TaskEvent, TaskEventKind, TaskState, TaskStatus
from bedplate.engines.base import CanExclude, CanInheritDescriptors, CanLoseNodes, FaultInjection, GangHandle
from bedplate.engines.local.engine import LocalEngine
from tests.engines.registry import open_local_engine, simulated_node
from tests.engines.seen import Seen, seen_by
from tests.engines.workloads import deaf, endless, finishing, gang, task
from tests.json_values import integer_at, number_at

USABLE = sorted(os.sched_getaffinity(0))
CORES = (USABLE * 2)[:2]
needs_two_cores = pytest.mark.skipif(len(USABLE) < 2, reason="two cores are compared")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = open_local_engine(tmp_path / "engine", CORES)
    yield engine
    engine.close()


def run_to_end(engine: LocalEngine, *tasks: Task) -> tuple[TaskStatus, ...]:
    status = engine.wait(engine.submit(gang(*tasks)), 30)
    assert status.state is TaskState.DONE, status
    return status.tasks


def describe(engine: LocalEngine, *tasks: Task) -> list[Seen]:
    return [seen_by(task) for task in run_to_end(engine, *tasks)]


def test_it_has_the_capabilities_that_it_claims(engine: LocalEngine) -> None:
    assert isinstance(engine, FaultInjection)
    assert isinstance(engine, CanExclude)
    assert isinstance(engine, CanInheritDescriptors)
    assert engine.inherits_descriptors
    assert not isinstance(engine, CanLoseNodes)


@needs_two_cores
def test_a_task_is_pinned_to_its_cores_and_its_threads_match(engine: LocalEngine) -> None:
    seen = describe(engine, task("describe"), task("describe"))
    assert [item.affinity for item in seen] == [(CORES[0],), (CORES[1],)]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        assert [item.environment[name] for item in seen] == ["1", "1"]
    (wide,) = describe(engine, task("describe", cpus=2))
    assert wide.affinity == tuple(CORES)
    assert wide.environment["OMP_NUM_THREADS"] == "2"


def test_torch_takes_the_thread_count_of_its_task(engine: LocalEngine) -> None:
    pytest.importorskip("torch")
    (reader,) = run_to_end(engine, task("count_torch_threads"))
    assert reader.result == {"threads": 1}


def test_a_core_that_is_listed_twice_takes_two_tasks(tmp_path: Path) -> None:
    engine = open_local_engine(tmp_path, [USABLE[0]] * 3)
    assert [item.affinity for item in describe(engine, *[task("describe")] * 3)] == [(USABLE[0],)] * 3
    with pytest.raises(ResourcesError):
        engine.submit(gang(finishing(cpus=2)))
    engine.exclude(engine.resources()[0].id, (USABLE[0],), "one of the three is slow")
    describe(engine, *[task("describe")] * 2)
    with pytest.raises(ResourcesError):
        engine.submit(gang(*[finishing()] * 3))
    engine.close()


def test_cores_of_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not cores of this process"):
        LocalEngine(tmp_path, simulated_node("here", num_cores=4097))


def test_an_inherited_memory_file_is_read_and_written_by_the_task(engine: LocalEngine) -> None:
    fd = os.memfd_create("test")
    os.write(fd, b"written by the supervisor")
    (reader,) = run_to_end(engine, Task(entry="tests.engines.tasks:read_descriptor", inherited={"memory": fd}))
    assert reader.result == {"text": "written by the supervisor"}
    assert os.pread(fd, 100, 0).startswith(b"written by the task")
    os.close(fd)


def test_a_descriptor_that_is_not_open_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(UsageError, match="descriptor 'memory' is not open"):
        engine.submit(gang(Task(entry="a:b", inherited={"memory": 9999})))


@pytest.mark.parametrize("in_child", [False, True], ids=["itself", "in a child process"])
def test_a_task_over_its_memory_limit_is_ended_for_memory(engine: LocalEngine, in_child: bool) -> None:
    limited = Task(
        entry="tests.engines.tasks:grow",
        spec={"bytes": 400_000_000, "in_child": in_child},
        resources=Resources(memory_bytes=120_000_000),
    )
    (ended,) = engine.wait(engine.submit(gang(limited)), 30).tasks
    assert (ended.state, ended.cause, ended.exit_code) == (TaskState.FAILED, ExitCause.MEMORY, -9)
    assert "the limit is 120 MB" in ended.message


def test_memory_that_processes_share_counts_once(engine: LocalEngine) -> None:
    fd = os.memfd_create("shared")
    os.truncate(fd, 80_000_000)
    sharing = Task(
        entry="tests.engines.tasks:share_memory",
        spec={"for_s": 0.5},
        inherited={"memory": fd},
        resources=Resources(memory_bytes=80_000_000),  # less than the file and the interpreter together
    )
    with mmap.mmap(fd, 0) as view:
        view.write(bytes(len(view)))  # the other half of every page is ours
        status = engine.wait(engine.submit(gang(sharing)), 30)
    os.close(fd)
    assert status.state is TaskState.DONE, status


def test_more_memory_than_the_machine_has_is_refused(engine: LocalEngine) -> None:
    greedy = Task(entry="a:b", resources=Resources(memory_bytes=2**50))
    with pytest.raises(ResourcesError, match="GB"):
        engine.submit(gang(greedy))


def test_a_task_sees_the_accelerators_it_was_given_and_no_others(tmp_path: Path) -> None:
    cards = [
        Device(
            id=f"cuda:{index}",
            kind="gpu",
            vendor="nvidia",
            model="H100",
            memory_bytes=80 * 10**9,
            visibility=Visibility(variable="CUDA_VISIBLE_DEVICES", word=f"GPU-{index}"),
        )
        for index in range(2)
    ]
    node = this_node().with_cores(CORES)
    engine = LocalEngine(tmp_path, replace(node, devices=(*node.devices, *cards)))
    with_card = Task(entry="tests.engines.tasks:describe", resources=Resources(accelerators=1, accelerator="H100"))
    seen = describe(engine, with_card, task("describe"))
    assert [item.environment["CUDA_VISIBLE_DEVICES"] for item in seen] == ["GPU-0", ""]
    assert [item.devices for item in seen] == [("cuda:0",), ()]
    with pytest.raises(ResourcesError, match="accelerators"):
        engine.submit(gang(Task(entry="a:b", resources=Resources(accelerators=1, accelerator="V100"))))
    engine.close()


def test_the_rendezvous_port_is_reserved_while_the_gang_lives(engine: LocalEngine) -> None:
    handle = engine.submit(gang(task("listen_at_rendezvous"), task("sleep")))
    (listening,) = [event for event in wait_progress(engine, handle, 2) if "listening" in event.attributes]
    assert listening.rank == 0
    engine.cancel(handle)


def test_ports_of_concurrent_gangs_differ_and_are_reserved(tmp_path: Path) -> None:
    first = open_local_engine(tmp_path / "shared", CORES)
    second = open_local_engine(tmp_path / "shared", CORES)
    seen = []
    for engine in (first, second):
        handle = engine.submit(gang(task("tell_rendezvous"), name="port"))
        seen.append(int(str(wait_progress(engine, handle, 1)[0].attributes["rendezvous"]).rpartition(":")[2]))
    assert len(set(seen)) == 2
    others = [socket.create_server(("127.0.0.1", 0)) for _ in range(500)]
    assert not {server.getsockname()[1] for server in others} & set(seen)
    for server in others:
        server.close()
    first.close()
    second.close()


def test_two_engines_share_a_root_without_mixing_their_logs(tmp_path: Path) -> None:
    engines = [open_local_engine(tmp_path, CORES) for _ in range(2)]
    handles = [engine.submit(gang(task("write", {"text": f"from {index}"}))) for index, engine in enumerate(engines)]
    assert handles[0].id != handles[1].id
    for index, (engine, handle) in enumerate(zip(engines, handles, strict=True)):
        engine.wait(handle, 30)
        assert f"from {index}" in engine.logs(handle, 0)
        engine.close()


def test_a_root_with_blanks_in_its_path_works(tmp_path: Path) -> None:
    engine = open_local_engine(tmp_path / "with two blanks", CORES)
    describe(engine, task("describe"))
    engine.close()


def test_only_the_newest_megabyte_of_a_log_is_handed_out(engine: LocalEngine) -> None:
    handle = engine.submit(gang(task("write", {"text": "x" * 1_500_000 + "the end"})))
    engine.wait(handle, 30)
    log = engine.logs(handle, 0)
    assert len(log) == 1_000_000
    assert log.endswith("the end\n")


def open_descriptors() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("num_left", range(1, 15, 2))
def test_a_start_without_descriptors_starts_and_holds_nothing(tmp_path: Path, engine: LocalEngine, num_left: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_descriptors()
    free = [fd for fd in range(soft) if fd not in before]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[num_left], hard))
    try:
        with pytest.raises(UnavailableError, match="could not be started") as caught:
            engine.submit(gang(endless(), endless()))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in str(caught.value.seen)
    assert len(open_descriptors()) == len(before)
    assert list((tmp_path / "engine").iterdir()) == []
    assert engine.wait(engine.submit(gang(finishing(), finishing())), 30).state is TaskState.DONE


def test_a_keeper_that_cannot_start_is_a_failed_task(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bedplate.engines.local.launch._PACKAGE_ROOT", "/nowhere")
    handle = engine.submit(gang(finishing()))
    (ended,) = engine.wait(handle, 20).tasks
    assert ended.state is TaskState.FAILED
    assert "keeper" in ended.message
    assert "ModuleNotFoundError" in engine.logs(handle, 0)


def test_a_slow_supervisor_does_not_hold_up_a_task_that_reports(engine: LocalEngine) -> None:
    handle = engine.submit(gang(task("flood", {"steps": 2000})))
    with engine._changed:  # the watch thread cannot take anything in while this is held
        time.sleep(0.5)
    (ended,) = engine.wait(handle, 30).tasks
    assert number_at(ended.result, "longest_s") < 1.5
    steps = [integer_at(event.attributes, "step") for event in engine.events(handle) if event.kind is TaskEventKind.PROGRESS]
    assert steps == sorted(set(steps))


def test_a_kill_is_known_in_well_under_a_fifth_of_a_second(engine: LocalEngine) -> None:
    seconds = []
    for _ in range(5):
        handle = engine.submit(gang(endless()))
        wait_progress(engine, handle, 1)
        killed_at_s = time.time()
        engine.kill(handle, 0, signal.SIGKILL)
        engine.wait(handle, 10)
        seconds.append(time.time() - killed_at_s)
    assert statistics.median(seconds) < 0.2, seconds


def test_reaching_an_entry_costs_little(engine: LocalEngine) -> None:
    """In processor time, which other work on the machine does not lengthen: interpreter, bedplate, context, entry's module."""
    seconds = [describe(engine, task("describe"))[0].cpu_s for _ in range(3)]
    assert min(seconds) < 0.25, seconds


def test_cancel_of_many_waits_one_grace_not_one_each(engine: LocalEngine) -> None:
    handle = engine.submit(gang(deaf(), deaf()))
    wait_progress(engine, handle, 2)
    start_s = time.monotonic()
    engine.cancel(handle, grace_s=1.0)
    assert 1.0 <= time.monotonic() - start_s < 1.9


def wait_progress(engine: LocalEngine, handle: GangHandle, count: int) -> Sequence[TaskEvent]:
    """The first `count` progress events of the gang."""
    while True:
        events = engine.events(handle)
        found = [event for event in events if event.kind is TaskEventKind.PROGRESS]
        if len(found) >= count:
            return found[:count]
        assert engine.events(handle, len(events), wait_s=20), engine.status(handle)
