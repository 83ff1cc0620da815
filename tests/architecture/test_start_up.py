"""Starting is quick: medians of several cold processes, against the budgets that users feel."""

import os
import statistics
import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize(
    ("arguments", "budget_s"),
    [(["-c", "import bedplate"], 0.15), (["-m", "bedplate", "--help"], 0.4)],
    ids=["import", "help"],
)
def test_start_up_stays_within_its_budget(arguments: list[str], budget_s: float) -> None:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=dict(os.environ))
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < budget_s


def test_the_base_package_imports_without_torch_ray_or_the_web() -> None:
    code = (
        "import sys, bedplate, bedplate.cli.main, bedplate.engines.base, bedplate.app.pipeline.contract.step\n"
        "heavy = {'torch', 'ray', 'transformers', 'fastapi', 'sqlalchemy', 'numpy', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported at start: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
