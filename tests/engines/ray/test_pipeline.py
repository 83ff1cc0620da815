"""A pipeline on Ray through the real command line."""

import socket
import time

import pytest

from bedplate.engines.ray.cluster import LocalRayCluster
from tests.command_line import CommandLine, statuses

PIPELINE = """
version: 1
name: small
steps:
  first: {use: test.gang, size: 5}
  second: {use: test.gang, size: 2, exclude: true, after: [first]}
"""


def test_a_pipeline_runs_on_a_cluster_without_output_of_ray(cluster: LocalRayCluster, command_line: CommandLine) -> None:
    file = command_line.write(PIPELINE)
    end = command_line.call("run", file, "--engine", f"ray://{cluster.address}", "-o", "json")
    assert end.code == 0, end.err
    assert statuses(end.json) == [("first", "done"), ("second", "done")]
    assert "raylet" not in end.err
    assert "INFO" not in end.err
    logs = command_line.call("logs", "last", "first")
    assert "hello from rank 4" in logs.out
    again = command_line.call("run", file, "--engine", "ray", "-o", "json", environment={"RAY_ADDRESS": cluster.address})
    assert again.json["run_id"] == end.json["run_id"]


def test_a_plan_names_the_nodes_of_the_cluster(cluster: LocalRayCluster, command_line: CommandLine) -> None:
    end = command_line.call("plan", command_line.write(PIPELINE), "--engine", f"ray://{cluster.address}")
    assert end.code == 0, end.err
    assert [name for name in ("node-0", "node-1", "node-2") if name in end.out] == ["node-0", "node-1", "node-2"]


def test_without_an_address_it_is_said_how_to_start_a_cluster(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", "ray", environment={"RAY_ADDRESS": ""})
    assert end.code == 2
    assert "ray start --head" in end.err


def test_where_no_cluster_answers_it_is_said(command_line: CommandLine) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", "ray://127.0.0.1:9")
    assert end.code == 5, end.err
    assert "no Ray cluster answers at 127.0.0.1:9" in end.err
    assert "Traceback" not in end.err


def test_a_port_where_something_else_listens_is_one_clear_error_soon(command_line: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as web_server:
        start_s = time.monotonic()
        end = command_line.call(
            "run", command_line.write(PIPELINE), "--engine", f"ray://127.0.0.1:{web_server.getsockname()[1]}"
        )
    assert time.monotonic() - start_s < 60
    assert end.code == 5, end.err
    assert "does not answer as Ray does" in end.err
    assert "rpc_client" not in end.err
    assert "GCS" not in end.err


@pytest.mark.parametrize("url", ["ray://head", "ray://ray://head:10001"])
def test_an_address_that_is_none_is_a_wrong_word(command_line: CommandLine, url: str) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", url)
    assert end.code == 2, end.err
    assert "HOST:PORT" in end.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("slurm://gpu", "no engine 'slurm'"),
        ("rya://head:6379", "did you mean 'ray'?"),
        ("local://elsewhere", "the local engine is this machine"),
        ("local://4096", "not cores of node"),
        ("ray-local://elsewhere", "is on this machine"),
        ("simulated://many", "simulated://NODESxCORES"),
    ],
)
def test_an_engine_that_is_none_is_refused_with_those_that_are(command_line: CommandLine, url: str, words: str) -> None:
    end = command_line.call("run", command_line.write(PIPELINE), "--engine", url)
    assert end.code == 2, end.err
    assert words in end.err


def test_a_simulated_engine_shows_in_a_plan_and_refuses_to_pretend(command_line: CommandLine) -> None:
    file = command_line.write(PIPELINE)
    assert "start 5 of 8 possible tasks" in command_line.call("plan", file, "--engine", "simulated://2x8").out
    end = command_line.call("run", file, "--engine", "simulated://2x8")
    assert end.code == 2, end.err
    assert "would never end: nothing is executed here" in end.err
