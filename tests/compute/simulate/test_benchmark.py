"""The benchmark reads a folder of traces and prints what it promises."""

import json
import subprocess
import sys
from pathlib import Path

from tests.compute.traces import make_nodes, make_pods, write_traces

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "packing_vs_fgd.py"


def test_policies_side_by_side_on_traces_of_ones_own(tmp_path: Path) -> None:
    nodes, pods = write_traces(tmp_path, make_nodes(16), make_pods(120))
    nodes.rename(tmp_path / "own_node_list.csv")
    pods.rename(tmp_path / "own_pod_list_small.csv")
    rows = ("workload,sc_policy,100", "own_pod_list_small,06-FGD,90", "own_pod_list_small,06-FGD,92")
    (tmp_path / "expected.csv").write_text("\n".join(rows))
    command = [sys.executable, str(BENCHMARK), "--data", str(tmp_path), "--expected", str(tmp_path / "expected.csv")]
    done = subprocess.run([*command, "--seeds", "1:3", "-o", "json"], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    printed = json.loads(done.stdout)
    (row,) = printed["rows"]
    assert row["workload"] == "small" and row["published_pct"] == {"fgd": 91.0}
    assert len(row["per_seed"]["rollout"]) == len(printed["seeds"]) == 2
    assert max(max(values) for values in row["per_seed"].values()) <= row["bound_pct"] + 1
    assert printed["holds"] is (done.returncode == 0)
