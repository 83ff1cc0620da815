"""The benchmarks of placement read a folder of traces and print what they promise."""

import json
import subprocess
import sys
from pathlib import Path

from tests.compute.traces import make_nodes, make_pods, write_traces

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def write_folder(folder: Path) -> None:
    nodes, pods = write_traces(folder, make_nodes(16), make_pods(120))
    nodes.rename(folder / "own_node_list.csv")
    pods.rename(folder / "own_pod_list_small.csv")


def run(name: str, *options: str) -> tuple[dict, int]:
    command = [sys.executable, str(BENCHMARKS / name), *options, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout), done.returncode


def test_policies_side_by_side_on_traces_of_ones_own(tmp_path: Path) -> None:
    write_folder(tmp_path)
    rows = ("workload,sc_policy,100", "own_pod_list_small,06-FGD,90", "own_pod_list_small,06-FGD,92")
    (tmp_path / "expected.csv").write_text("\n".join(rows))
    data = ("--data", str(tmp_path), "--expected", str(tmp_path / "expected.csv"))
    printed, exit_code = run("packing_vs_fgd.py", *data, "--seeds", "1:3")
    (row,) = printed["rows"]
    assert row["workload"] == "small" and row["published_pct"] == {"fgd": 91.0}
    assert len(row["per_seed"]["rollout"]) == len(printed["seeds"]) == 2
    assert max(max(values) for values in row["per_seed"].values()) <= row["bound_pct"] + 1
    assert printed["holds"] is (exit_code == 0)


def test_decisions_and_gangs_on_a_repeated_trace(tmp_path: Path) -> None:
    write_folder(tmp_path)
    options = ("--nodes", "80", "--decisions", "60", "--loads", "0.5,0.8", "--policies", "fgd,rollout")
    printed, exit_code = run("placement_scale.py", "--data", str(tmp_path), *options)
    assert [(row["policy"], row["load_frac"]) for row in printed["rows"]] == [
        ("fgd", 0.5),
        ("rollout", 0.5),
        ("fgd", 0.8),
        ("rollout", 0.8),
    ]
    for row in printed["rows"]:
        assert row["nodes"] == 80 and row["devices"] == 20 * (8 + 2 + 2 + 4)
        assert 0 < row["decision_ms"]["median"] <= row["decision_ms"]["p99"] <= row["decision_ms"]["max"]
        assert row["gang"]["gang_workers"] == row["gang"]["single_workers"]
        assert row["gang"]["gang_leaves"] <= row["gang"]["single_leaves"]
    assert printed["provenance"] == "measured" and printed["holds"] is (exit_code == 0)


def test_requests_that_come_and_go_on_a_trace_of_ones_own(tmp_path: Path) -> None:
    write_folder(tmp_path)
    printed, exit_code = run("packing_churn.py", "--data", str(tmp_path), "--seeds", "1:3")
    lost, waits = printed["rows"]
    assert (lost["rule"], waits["rule"]) == ("lost", "waits")
    for name in ("best-fit", "fgd", "rollout"):
        assert 0 < lost["lost_pct"][name] < 100 and 0 < lost["held_pct"][name] < 100
        assert waits["lost_pct"][name] == 0 and waits["wait_holding_times"][name] > 0
    assert printed["holds"] is (exit_code == 0)
