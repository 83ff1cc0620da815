"""The service on a real Ray cluster of several raylets with mixed device types: gangs go where their devices are, and a raylet
that is killed takes its gang with it, which is placed again as a whole elsewhere.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from bedplate.compute.inventory import this_node
from tests.command_line import CommandLine, wait_until
from tests.service.control.live_service import LiveService, submit, wait_phase

pytest.importorskip("ray")

from bedplate.engines.ray.cluster import LocalRayCluster


@pytest.fixture
def cluster() -> Iterator[LocalRayCluster]:
    if any(device.kind != "cpu" for device in this_node().devices):
        pytest.skip("this machine has accelerators of its own, which every raylet would list")
    made = LocalRayCluster(this_node(), (1, 1, 1, 1), (("H100", 1), ("H100", 1), ("H100", 1), ("910B", 2)))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def service(command_line: CommandLine, cluster: LocalRayCluster) -> Iterator[LiveService]:
    made = LiveService(command_line, "--engine", f"ray://{cluster.address}", "--nodes-every", "500ms")
    try:
        yield made
    finally:
        made.close()


def gang(name: str, needs: dict[str, Any], size: int) -> dict[str, Any]:
    step = {"use": "test.gang", "size": size, "lasts": "120s"}
    return {"version": 1, "name": name, "needs": needs, "steps": {"work": step}}


def tasks_run(service: LiveService, run_id: str) -> list[str]:
    """Nodes on which tasks of a run have started, in order."""
    events = service.command_line.call("events", run_id, "--kind", "task.started", "-o", "json").json["events"]
    return [event["attributes"]["node"] for event in events]


def test_a_raylet_that_is_killed_takes_its_gang_with_it(service: LiveService, cluster: LocalRayCluster) -> None:
    client = service.start()
    models = {node["id"]: node["accelerators"] for node in client.nodes()["nodes"]}
    assert models == {"node-0": ["H100"], "node-1": ["H100"], "node-2": ["H100"], "node-3": ["910B", "910B"]}

    needs = {"accelerator": "h100", "count": 2, "cpu_per_device": 1, "memory": "40GB", "grace": "5s"}
    job = submit(client, gang("pair", needs, 2))
    placed = wait_phase(client, job, "running")
    first = set(placed["nodes"])
    assert len(first) == 2
    memory = placed["models"][0]["memory"]
    assert (memory["value"], memory["provenance"]) == (80 * 2**30, "published"), "the manager only says 'H100'"
    assert "node-3" not in first
    run_id = wait_until(lambda: client.job(job)["run_id"], "its run")
    wait_until(lambda: len(tasks_run(service, run_id)) == 2, "its tasks")
    other = submit(client, gang("other", {"accelerator": ["A100", "910B"], "count": 1}, 1))
    assert wait_phase(client, other, "running")["allocation"][0] == {
        "node": "node-3",
        "cores": client.job(other)["allocation"][0]["cores"],
        "devices": ["gpu:0"],
    }

    lost = min(first)
    cluster.remove_node(lost)
    wait_until(lambda: client.job(job)["attempt"] == 2, "its second placement")
    again = set(wait_phase(client, job, "running")["nodes"])
    assert again == {"node-0", "node-1", "node-2"} - {lost}
    wait_until(lambda: len(tasks_run(service, run_id)) == 4, "its tasks, all of them again")
    assert set(tasks_run(service, run_id)[2:]) == again
    assert client.job(other)["attempt"] == 1
    kinds = [event["kind"] for event in client.events(job=job)["events"]]
    kinds = [kind for kind in kinds if kind != "job.stopping"]  # its run may notice the loss before the service does
    assert kinds == ["job.submitted", "job.placed", "job.requeued", "job.placed"]

    waiting = submit(client, gang("third", {"accelerator": "H100", "count": 1}, 1))
    assert client.job(waiting)["phase"] == "waiting"
    cluster.restore()
    assert wait_phase(client, waiting, "running")["nodes"] == [lost]
    for name in (job, other, waiting):
        client.cancel(name)
    for name in (job, other, waiting):
        wait_phase(client, name, "cancelled")
