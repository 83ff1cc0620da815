"""The benchmark runs on fabrics of the user's own and prints what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "network_planned_vs_ecmp.py"
FABRIC = """\
hosts: [a, b, c, d]
switches: [left, right, top, bottom]
links:
  - {ends: [a, left]}
  - {ends: [b, left]}
  - {ends: [c, right]}
  - {ends: [d, right]}
  - {ends: [left, top]}
  - {ends: [left, bottom]}
  - {ends: [right, top]}
  - {ends: [right, bottom]}
"""


def test_a_folder_of_fabrics_takes_the_place_of_the_generated_ones(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(FABRIC)
    ring = {"kind": "all-reduce", "group": [0, 1, 2, 3], "message_bytes": 8}
    (tmp_path / "training.json").write_text(json.dumps({"world_size": 4, "collectives": [ring]}))
    command = [sys.executable, str(BENCHMARK), "--data", str(tmp_path), "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["machine"]
    assert printed["seeds"]["hash"]
    results = {row["balance"]: row for row in printed["results"]}
    assert {row["topology"] for row in results.values()} == {"own"}
    assert results["planned-1"]["flows"]["worst_frac"] == 1.0
    assert results["ecmp-1"]["flows"]["worst_frac"] < 1.0
    assert results["ecmp-16-equal"]["flows"]["worst_frac"] <= results["ecmp-16"]["flows"]["worst_frac"]
