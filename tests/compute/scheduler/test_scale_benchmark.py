"""The benchmark of the scheduler's speed runs, on drawn jobs and on those of a trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compute.traces import make_nodes, make_pods, write_traces

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "scheduler_scale.py"


@pytest.mark.parametrize("is_traced", [False, True])
def test_figures_of_a_small_cluster(tmp_path: Path, is_traced: bool) -> None:
    command = [sys.executable, str(BENCHMARK), "--nodes", "32", "--jobs", "60", "--shapes", "20", "-o", "json"]
    if is_traced:
        _, pods = write_traces(tmp_path, make_nodes(4), make_pods(40))
        pods.rename(tmp_path / "own_pod_list_small.csv")
        command += ["--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads(done.stdout)
    assert figures["starts"] > 30 and figures["gang_devices"] == 16 and (is_traced or figures["waiting_on_full"] > 0)
    assert figures["holds"] is (done.returncode == 0) and figures["provenance"] == "measured"
