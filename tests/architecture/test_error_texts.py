"""An error that is raised here says more than what happened: what was expected, or what to do next."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.core import errors
from bedplate.core.errors import BedplateError

SOURCE = Path(__file__).parents[2] / "src" / "bedplate"
FOLDERS = sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file())
TREE = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, BedplateError)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_raised_error_says_what_was_expected_or_what_to_do(folder: str) -> None:
    silent = [where for file in (SOURCE / folder).rglob("*.py") for where in silent_errors(file.read_text(), file.name)]
    assert silent == []


def test_an_error_without_either_is_found() -> None:
    source = 'raise UsageError("no such rank", seen=3)\nraise UsageError("no such rank", expected="0 to 2")\n'
    assert list(silent_errors(source, "gang.py")) == ["gang.py:1"]


def silent_errors(source: str, name: str) -> Iterator[str]:
    """Places that make an error of the tree from a text, without `expected` and without `next_step`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TREE and node.args:
            given = {keyword.arg for keyword in node.keywords}
            if not given & {"expected", "next_step", "mistakes", None}:
                yield f"{name}:{node.lineno}"
