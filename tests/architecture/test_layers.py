"""The layers of DESIGN hold, and a forbidden import is really caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the package under `root`, as `make lint` does."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def package_copy(tmp_path: Path) -> Path:
    """A copy of the package that a test may spoil."""
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold_for_the_package_as_it_is(package_copy: Path) -> None:
    result = lint_imports(package_copy)
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("core/clock.py", "import bedplate.engines.base", "layers"),
        ("network/__init__.py", "import bedplate.storage", "layers"),
        ("toolchain/__init__.py", "import bedplate.app.api", "layers"),
        ("service/__init__.py", "import bedplate.cli.main", "layers"),
        ("workers/screen.py", "import bedplate.app.api", "control plane"),
        ("app/uses.py", "import bedplate.engines.local.engine", "wiring"),
        ("cli/ps.py", "import bedplate.state.records", "use case"),
        ("cli/network.py", "import bedplate.network.simulate.scenario", "use case"),
        ("app/api.py", "import torch", "torch"),
        ("engines/base.py", "import ray", "ray"),
        ("toolchain/__init__.py", "import fastapi", "fastapi"),
        ("app/api.py", "import sqlalchemy", "SQLAlchemy"),
    ],
)
def test_a_forbidden_import_is_caught(package_copy: Path, file: str, line: str, contract: str) -> None:
    spoiled = package_copy / "src" / "bedplate" / file
    spoiled.write_text(spoiled.read_text() + f"\n{line}\n")
    result = lint_imports(package_copy)
    assert result.returncode != 0
    _, heading, broken = result.stdout.partition("Broken contracts")
    assert heading
    assert contract in broken


def test_core_uses_the_standard_library_only() -> None:
    import ast

    outside = set()
    for file in (REPOSITORY / "src" / "bedplate" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            outside |= {name for name in names if name.split(".")[0] not in sys.stdlib_module_names | {"bedplate"}}
    assert outside == set()
