"""The devices of a real Ray cluster of several raylets, through the real command line."""

import threading

import pytest

from bedplate.engines.ray.cluster import LocalRayCluster
from bedplate.engines.remote.engine import RemoteEngine
from tests.command_line import CommandLine
from tests.engines.workloads import endless, gang

NODES = ["node-0", "node-1", "node-2"]


def test_every_node_is_read_and_listed(cluster: LocalRayCluster, command_line: CommandLine) -> None:
    engine = f"ray://{cluster.address}"
    end = command_line.call("compute", "inventory", "--engine", engine, "-o", "json")
    assert end.code == 0, end.err
    assert [node["id"] for node in end.json["nodes"]] == NODES
    assert all(node["has_answered"] and node["troubles"] == [] for node in end.json["nodes"])
    assert {node["labels"]["bedplate-node"] for node in end.json["nodes"]} == set(NODES)
    assert sorted({device["node"] for device in end.json["devices"]}) == NODES
    assert {device["kind"] for device in end.json["devices"]} == {"cpu"}
    assert len(end.json["devices"]) == sum(len(node["devices"]) for node in end.json["nodes"])
    assert not command_line.state.exists()
    table = command_line.call("compute", "inventory", "--engine", engine)
    assert all(any(line.startswith(f"{name}\tcpu:0\t") for line in table.out.splitlines()) for name in NODES)


def test_a_full_cluster_is_read_all_the_same(engine: RemoteEngine) -> None:
    handle = engine.submit(gang(*[endless()] * 6))
    assert [report.id for report in engine.survey(60.0) if report.has_answered] == NODES
    engine.cancel(handle)


def test_a_node_that_has_no_time_to_answer_is_listed_with_its_trouble(
    cluster: LocalRayCluster, command_line: CommandLine
) -> None:
    end = command_line.call("compute", "inventory", "--engine", f"ray://{cluster.address}", "--timeout", "10ms")
    assert end.code == 5, end.err
    assert "no machine of the engine answers" in end.err
    assert "node-1: a node's agent did not answer" in end.err


def test_a_node_that_died_is_silent_or_gone_and_the_others_are_there(cluster: LocalRayCluster, engine: RemoteEngine) -> None:
    engine.survey(60.0)
    killer = threading.Thread(target=cluster.remove_node, args=("node-2",))
    killer.start()
    reports = engine.survey(60.0)
    killer.join()
    assert {"node-0", "node-1"} <= {report.id for report in reports if report.has_answered}
    assert all(report.troubles for report in reports if not report.has_answered)


@pytest.mark.parametrize("timeout", ["0", "-1", "soon"])
def test_nonsense_for_a_time_is_refused(command_line: CommandLine, timeout: str) -> None:
    end = command_line.call("compute", "inventory", "--engine", "local", "--timeout", timeout)
    assert end.code == 2, end.err


def test_the_local_engine_is_one_node(command_line: CommandLine) -> None:
    environment = {"BEDPLATE_EMULATED_DEVICES": "1"}
    end = command_line.call("compute", "inventory", "--engine", "local", "-o", "json", environment=environment)
    assert end.code == 0, end.err
    (node,) = end.json["nodes"]
    assert [device["id"] for device in node["devices"]] == ["cpu:0", "emulated:0"]
