"""What can go wrong between a driver, Ray and the agents, done for real."""

import signal
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from bedplate.compute.inventory import NODE_READER
from bedplate.core.errors import ResourcesError, UnavailableError, UsageError
from bedplate.core.workload import ExitCause, Task, TaskEventKind, TaskState
from bedplate.engines.base import GangHandle
from bedplate.engines.ray.cluster import LocalRayCluster
from bedplate.engines.ray.transport import RayTransport
from bedplate.engines.remote.engine import RemoteEngine
from tests.engines.registry import ray_cluster
from tests.engines.workloads import endless, finishing, gang, task
from tests.json_values import text_at

PATIENCE_S = 60.0


def started(engine: RemoteEngine, handle: GangHandle, count: int) -> None:
    """Wait until `count` tasks run."""
    deadline_s = time.monotonic() + PATIENCE_S
    while sum(item.state is TaskState.RUNNING for item in engine.status(handle).tasks) < count:
        assert time.monotonic() < deadline_s, engine.status(handle)
        engine.events(handle, len(engine.events(handle)), wait_s=1)


def free_cores() -> float:
    return ray_cluster()[1].ray.available_resources().get("CPU", 0)


def wait_for_free_cores(count: float) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while free_cores() != count:
        assert time.monotonic() < deadline_s, f"{free_cores()} cores are free"
        time.sleep(0.1)


def test_ranks_on_different_nodes_meet_at_the_rendezvous(engine: RemoteEngine) -> None:
    status = engine.wait(engine.submit(gang(*[task("listen_at_rendezvous")] * 6, name="wide")), PATIENCE_S)
    assert len({item.node for item in status.tasks}) == 3
    heard = sorted(text_at(item.result, "heard") for item in status.tasks)
    assert heard == ["", *(f"wide takes {rank}" for rank in range(1, 6))]


def test_a_gang_that_meets_a_dead_node_is_placed_elsewhere(
    engine: RemoteEngine, cluster: LocalRayCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    hit = engine.submit(gang(endless()))
    started(engine, hit, 1)
    lost = engine.status(hit).tasks[0].node
    cluster.remove_node(lost)  # Ray does not know yet
    status = engine.wait(engine.submit(gang(*[finishing()] * 4)), PATIENCE_S)
    assert status.state is TaskState.DONE, status
    assert lost not in {item.node for item in status.tasks}
    assert engine.wait(hit, PATIENCE_S).tasks[0].cause is ExitCause.NODE_LOST
    assert engine.logs(hit, 0) == f"the log went away with the node {lost}\n"
    assert capfd.readouterr() == ("", ""), "nothing of Ray is on the terminal"


def test_what_raylets_complain_of_is_not_printed(engine: RemoteEngine, capfd: pytest.CaptureFixture[str]) -> None:
    import ray

    worker = ray._private.worker
    worker.print_to_stdstream({"lines": ["Raylet is terminated."], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert capfd.readouterr() == ("", "")


def test_a_node_is_used_again_after_its_agent_was_killed(engine: RemoteEngine) -> None:
    handle = engine.submit(gang(endless()))
    started(engine, handle, 1)
    (running,) = engine.status(handle).tasks
    process = psutil.Process(running.pid)
    keeper = process.parent()
    agent = keeper.parent() if keeper is not None else None
    assert agent is not None
    assert "NodeAgent" in " ".join(agent.cmdline())
    agent.kill()
    (ended,) = engine.wait(handle, PATIENCE_S).tasks
    assert (ended.state, ended.cause) == (TaskState.FAILED, ExitCause.SIGNAL)
    assert "agent" in ended.message
    psutil.wait_procs([process], timeout=5)
    assert not process.is_running()
    assert engine.wait(engine.submit(gang(*[finishing()] * 6)), PATIENCE_S).state is TaskState.DONE


def test_resources_held_by_another_engine_are_not_placed_on(
    open_engine: Callable[[], RemoteEngine],
) -> None:
    first, second = open_engine(), open_engine()
    first.submit(gang(*[endless()] * 3))
    handle = second.submit(gang(endless()))
    refused: list[BaseException] = []

    def submit() -> None:
        try:
            second.submit(gang(*[endless()] * 3))
        except ResourcesError as error:
            refused.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    begin_s = time.monotonic()
    second.status(handle)
    assert time.monotonic() - begin_s < 1
    assert thread.is_alive()
    thread.join(PATIENCE_S)
    assert "free: 2 of 6 cores on 3 nodes" in str(refused[0])


def test_refused_cancelled_and_excluded_resources_are_returned(open_engine: Callable[[], RemoteEngine]) -> None:
    engine = open_engine()
    engine.submit(gang(endless()))
    engine.exclude("node-1", (0,), "slow")
    for _ in range(3):
        with pytest.raises(ResourcesError):
            engine.submit(gang(*[endless()] * 6))
    engine.close()
    wait_for_free_cores(6)


def test_what_cannot_cross_machines_is_refused(engine: RemoteEngine) -> None:
    with pytest.raises(UsageError, match="cannot pass open descriptors"):
        engine.submit(gang(Task(entry="a:b", inherited={"memory": 0})))


def test_a_second_connection_of_one_process_is_refused(cluster: LocalRayCluster) -> None:
    ray_cluster()
    with pytest.raises(UsageError, match="in a Ray cluster already"):
        RayTransport(cluster.address, node_reader=NODE_READER)


def test_a_node_of_a_cluster_that_is_not_ours_cannot_be_removed(engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster()[1], "_cluster", None)
    with pytest.raises(UnavailableError, match="only a local cluster"):
        engine.remove_node("node-0")


def test_a_signal_reaches_the_task_on_its_node(engine: RemoteEngine) -> None:
    handle = engine.submit(gang(*[endless()] * 6))
    started(engine, handle, 6)
    engine.kill(handle, 5, signal.SIGTERM)
    events = engine.events(handle)
    while not any(event.kind is TaskEventKind.EXITED for event in events):
        assert engine.events(handle, len(events), wait_s=PATIENCE_S)
        events = engine.events(handle)
    assert engine.status(handle).tasks[5].exit_code == -signal.SIGTERM
