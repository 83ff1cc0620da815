"""`bedplate network simulate` through the real command line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bedplate.cli.main import main


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["network", "simulate", *arguments, "-o", "json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_the_answer_has_the_keys_that_others_script_against(capsys: pytest.CaptureFixture[str]) -> None:
    answer = simulate(capsys, "--topology", "leaf-spine:4x4", "--traffic", "ring-shift", "--balance", "ecmp", "--seed", "3")
    assert set(answer["flows"]) == {"mean_frac", "worst_frac"}
    assert set(answer["links"]) == {"mean_frac", "max_frac"}
    assert answer["bound_frac"] == pytest.approx(1.0)
    assert answer["provenance"] == "simulated"
    assert float(str(answer["seconds"])) > 0


def test_a_plan_after_a_lost_uplink_reaches_the_bound_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--topology", "leaf-spine:16x16", "--traffic", "ring-shift", "--balance", "planned", "--fail", "leaf0-spine1"]
    answer = simulate(capsys, *words)
    assert answer["bound_frac"] == pytest.approx(15 / 16)
    assert answer["flows"]["worst_frac"] >= 15 / 16 - 0.02
    assert answer["queue_pairs"] == 2
    assert simulate(capsys, *words, "--qps", "1")["flows"]["worst_frac"] == pytest.approx(0.5)


def test_a_flow_without_a_live_path_gets_nothing_and_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--topology", "leaf-spine:2x2", "--traffic", "ring-shift", "--fail", "leaf0-spine0", "--fail", "leaf1-spine1"]
    answer = simulate(capsys, *words, "--balance", "planned")
    assert answer["num_flows_without_path"] == 4
    assert answer["bound_frac"] == 0
    assert answer["flows"] == {"mean_frac": 0, "worst_frac": 0}


def test_the_table_says_that_nothing_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["network", "simulate", "--topology", "leaf-spine:2x2", "--traffic", "permutation:1", "--balance", "spray"]) == 0
    )
    printed = capsys.readouterr()
    assert "100.0 %" in printed.out
    assert "nothing here was measured" in printed.err


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (("--topology", "leaf-spnie:4x4"), 2, "did you mean 'leaf-spine:4x4'?"),
        (("--topology", "clos3:1024"), 2, "leaf-spine:LxS"),
        (("--topology", "none.yaml"), 3, "no such topology file"),
        (("--traffic", "ring-shfit"), 2, "did you mean 'ring-shift'?"),
        (("--balance", "planed"), 2, "did you mean 'planned'?"),
        (("--fail", "leaf0-spien1"), 3, "did you mean 'leaf0-spine1'?"),
        (("--qps", "0"), 2, "--qps"),
        (("--seed", "-1"), 2, "--seed"),
    ],
)
def test_words_that_cannot_be_meant_are_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str], change: tuple[str, str], code: int, says: str
) -> None:
    words = {"--topology": "leaf-spine:4x4", "--traffic": "ring-shift", "--balance": "ecmp"} | dict([change])
    assert main(["network", "simulate", *[word for pair in words.items() for word in pair]]) == code
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.out == ""


def test_help_has_an_example_and_loads_no_numerics() -> None:
    script = (
        "import sys; from bedplate.cli.main import main; main(['network', 'simulate', '--help']);"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bedplate network simulate --topology leaf-spine:8x8" in done.stdout


def test_an_intact_fabric_needs_no_scipy() -> None:
    script = (
        "import sys; from bedplate.cli.main import main;"
        "main(['network', 'simulate', '--topology', 'leaf-spine:8x8', '--traffic', 'ring-shift', '--balance', 'planned']);"
        "sys.exit('scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
