"""A pipeline on Ray through the real command line."""

from pathlib import Path

from bedplate.engines.ray.cluster import LocalRayCluster
from tests.command_line import CommandLine, statuses

PIPELINE = """
version: 1
name: small
steps:
  first: {use: test.gang, size: 5}
  second: {use: test.gang, size: 2, exclude: true, after: [first]}
"""


def test_a_pipeline_runs_on_a_cluster_that_is_there_and_nothing_of_ray_is_on_the_terminal(
    cluster: LocalRayCluster, command_line: CommandLine
) -> None:
    file = command_line.write(PIPELINE)
    end = command_line.call("run", file, "--engine", "ray", "--ray-address", cluster.address, "-o", "json")
    assert end.code == 0, end.err
    assert statuses(end.json) == [("first", "done"), ("second", "done")]
    assert "raylet" not in end.err
    assert "INFO" not in end.err
    logs = command_line.call("logs", "last", "first")
    assert "hello from rank 4" in logs.out
    again = command_line.call("run", file, "--engine", "ray", "-o", "json", environment={"RAY_ADDRESS": cluster.address})
    assert again.json["run_id"] == end.json["run_id"]


def test_a_plan_names_the_nodes_of_the_cluster(cluster: LocalRayCluster, command_line: CommandLine) -> None:
    end = command_line.call("plan", command_line.write(PIPELINE), "--engine", "ray", "--ray-address", cluster.address)
    assert end.code == 0, end.err
    assert [name for name in ("node-0", "node-1", "node-2") if name in end.out] == ["node-0", "node-1", "node-2"]


def test_without_an_address_it_is_said_how_to_start_a_cluster(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", "ray", environment={"RAY_ADDRESS": ""})
    assert end.code == 2
    assert "ray start --head" in end.err


def test_where_no_cluster_answers_it_is_said(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", "ray", "--ray-address", "127.0.0.1:9")
    assert end.code == 5, end.err
    assert "no Ray cluster answers at 127.0.0.1:9" in end.err
    assert "Traceback" not in end.err


def test_an_address_that_is_none_is_a_wrong_word(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", "ray", "--ray-address", "ray://head:10001")
    assert end.code == 2, end.err
    assert "HOST:PORT, or auto" in end.err


def test_an_address_for_an_engine_that_has_none_is_refused(command_line: CommandLine, tmp_path: Path) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--ray-address", "somewhere:6379")
    assert end.code == 2
    assert "the engine 'local' has no address" in end.err
