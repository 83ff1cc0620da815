"""`bedplate compute` as people call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compute.traces import make_nodes, make_pods, write_traces


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bedplate", *arguments], capture_output=True, text=True, timeout=60)


def test_inventory_prints_the_devices_of_this_machine_as_json() -> None:
    done = call("compute", "inventory", "-o", "json")
    assert done.returncode == 0, done.stderr
    devices = json.loads(done.stdout)["devices"]
    assert {core for device in devices if device["kind"] == "cpu" for core in device["cores"]} == os.sched_getaffinity(0)
    assert devices[0]["measured"]["matmul_flops"] == {"fp32": None, "bf16": None, "int8": None}


def test_inventory_respects_the_cpuset_that_it_is_started_in() -> None:
    core = min(os.sched_getaffinity(0))
    code = f"import os, sys; os.sched_setaffinity(0, {{{core}}}); from bedplate.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "compute", "inventory", "-o", "json"], capture_output=True, text=True, timeout=60
    )
    assert [device["cores"] for device in json.loads(done.stdout)["devices"]] == [[core]]


def test_inventory_as_a_table_names_each_device() -> None:
    done = call("compute", "inventory")
    assert done.stdout.splitlines()[0].startswith("device\tkind\tvendor")
    assert done.stdout.splitlines()[1].startswith("cpu:0\tcpu\t")


FIXTURES = Path(__file__).parents[1] / "compute" / "inventory" / "fixtures"


def test_inventory_from_a_saved_output_has_the_same_record() -> None:
    """The keys that others script against, and those beside them."""
    done = call("compute", "inventory", "--from", str(FIXTURES / "npu-smi/info-910b.txt"), "--tool", "npu-smi", "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [device["id"] for device in answer["devices"]] == ["npu:0", "npu:1", "npu:2", "npu:3"]
    first, second, *_ = answer["devices"]
    assert (first["kind"], first["vendor"], first["model"]) == ("npu", "huawei", "Ascend 910B3")
    assert first["memory_bytes"] == 65536 * 2**20
    assert first["measured"]["matmul_flops"] == {"fp32": None, "bf16": None, "int8": None}
    assert second["usage"]["memory_used_bytes"] == 59356 * 2**20
    assert second["health"]["state"] == "degraded" and second["health"]["codes"] == ["Warning"]
    assert answer["provenance"] == "replayed"


def test_inventory_joins_several_outputs_and_shows_links_and_health() -> None:
    files = [f"--from={FIXTURES / 'npu-smi' / name}" for name in ("info-910b.txt", "mapping-910b.txt", "topo-910b.txt")]
    done = call("compute", "inventory", *files)
    rows = [
        dict(zip(done.stdout.splitlines()[0].split("\t"), line.split("\t"), strict=True))
        for line in done.stdout.splitlines()[1:]
    ]
    assert (rows[0]["health"], rows[0]["links"], rows[0]["temperature"]) == ("ok", "hccs to 2", "38 °C")
    assert rows[1]["memory used/total"] == "62.2 GB / 68.7 GB"
    assert "npu:2 is failed: Alarm" in done.stderr


def test_inventory_reads_standard_input() -> None:
    text = (FIXTURES / "nvidia-smi/query.xml").read_text()
    command = [sys.executable, "-m", "bedplate", "compute", "inventory", "--from", "-", "-o", "json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert [device["generation"] for device in json.loads(done.stdout)["devices"]] == ["Hopper", "Hopper"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--from", str(FIXTURES / "npu-smi/info-910b.txt"), "--tool", "npusmi"], 2, "did you mean 'npu-smi'?"),
        (["--from", str(FIXTURES / "npu-smi/info-910b.txt"), "--tool", "amd-smi"], 2, "it looks like one of npu-smi"),
        (["--from", str(FIXTURES / "README.md")], 2, "no known tool prints what is in"),
        (["--from", "absent.txt", "--tool", "npu-smi"], 3, "absent.txt"),
        (["--from", "/", "--tool", "npu-smi"], 2, "/: Is a directory"),
        (["--from", "/dev/null"], 2, "/dev/null: the output is empty"),
        (["--tool", "npu-smi"], 2, "--from FILE"),
    ],
)
def test_inventory_refuses_what_it_cannot_read(arguments: list[str], code: int, words: str) -> None:
    done = call("compute", "inventory", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_simulate_packs_a_trace(tmp_path: Path) -> None:
    nodes, pods = write_traces(tmp_path, make_nodes(12), make_pods(80))
    traces = ("compute", "simulate", "--nodes", str(nodes), "--pods", str(pods), "--seeds", "42:44")
    done = call(*traces, "--protocol", "inflate", "--tune", "1.3", "--policy", "fgd", "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [run["seed"] for run in answer["runs"]] == [42, 43]
    for run in answer["runs"]:
        assert run["policy"] == "fgd" and run["seconds"] > 0
        assert 50 < run["allocation_pct_at_100"] <= run["bound_pct"] <= 100
        assert run["unallocated_devices"] == pytest.approx((100 - run["allocation_pct_at_100"]) / 100 * 48)
    mean = sum(run["allocation_pct_at_100"] for run in answer["runs"]) / 2
    assert answer["mean_allocation_pct_at_100"] == pytest.approx(mean)
    assert answer["provenance"] == "simulated"
    table = call(*traces)
    assert table.stdout.splitlines()[0].startswith("seed\tallocated\tbound")
    assert "mean allocation" in table.stderr


def test_simulate_names_what_it_cannot_read(tmp_path: Path) -> None:
    nodes, pods = write_traces(tmp_path, make_nodes(4), make_pods(9))
    pods.write_text(pods.read_text() + "pod-x,1,1,1,nine,\n")
    done = call("compute", "simulate", "--nodes", str(nodes), "--pods", str(pods))
    assert done.returncode == 2
    assert "pods.csv:11: gpu_milli='nine'" in done.stderr
    assert call("compute", "simulate", "--nodes", str(nodes), "--pods", str(tmp_path / "absent.csv")).returncode == 3


def test_simulate_says_which_pods_no_node_can_take(tmp_path: Path) -> None:
    nodes, pods = write_traces(tmp_path, make_nodes(4), make_pods(20))
    pods.write_text(pods.read_text() + "pod-x,1000,10,1,500,none\n")
    done = call("compute", "simulate", "--nodes", str(nodes), "--pods", str(pods), "--seeds", "1", "--policy", "best-fit")
    assert done.returncode == 0
    assert "warning: 1 pods fit on no node" in done.stderr
    assert "1 x 500/1000 of none, 1000 mCPU, 10 MiB" in done.stderr


def test_forecast_answers_with_the_keys_that_others_script_against(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="the extra `forecast` is not installed")
    from tests.compute.forecast.demands import daily_wave, write_trace

    trace = write_trace(tmp_path / "demand.csv", daily_wave(days=9))
    question = ("compute", "forecast", "--series", str(trace), "--column", "gpus", "--test-days", "1", "--horizon", "6h,12h")
    done = call(*question, "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [item["horizon_s"] for item in answer["horizons"]] == [21_600, 43_200]
    for item in answer["horizons"]:
        assert set(item["naive_mase"]) == {"persistence", "day", "week"}
        assert item["mase"] > 0 and item["pinball"] > 0 and 0 <= item["coverage_80_frac"] <= 1
    assert answer["model"] and answer["provenance"] == "replayed"


def test_forecast_names_what_it_cannot_read(tmp_path: Path) -> None:
    trace = tmp_path / "demand.csv"
    trace.write_text("time,gpus\n0,1\n600,x\n")
    question = ("compute", "forecast", "--series", str(trace), "--column")
    assert call(*question, "gpus").returncode == 2
    assert f"{trace}:3" in call(*question, "gpus").stderr
    assert "did you mean 'gpus'?" in call(*question, "gpu").stderr
    assert call(*question, "gpus", "--horizon", "soon").returncode == 2
