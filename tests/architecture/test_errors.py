"""An error says what would have been right, or what to do next: every literal raise of the error tree outside core."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.core import errors
from bedplate.core.errors import BedplateError

SOURCE = Path(__file__).parents[2] / "src" / "bedplate"
TREE = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, BedplateError)}

LACKING: dict[str, int] = {
    "app/scorecard/graded_run.py": 1,
    "app/toolchain/serve/serve.py": 1,
    "documents/reading.py": 4,
    "engines/checks.py": 1,
    "engines/local/engine.py": 1,
    "engines/remote/agent.py": 1,
    "engines/remote/engine.py": 1,
    "network/balance/shares.py": 1,
    "network/collectives/job.py": 1,
    "network/collectives/traffic.py": 1,
    "operations/preflight/coordinator.py": 1,
    "scorecard/catalogue.py": 1,
    "storage/kvcache/disk_tier.py": 1,
    "storage/kvcache/folder.py": 1,
    "storage/kvcache/manifest.py": 1,
    "toolchain/models/weights.py": 1,
    "toolchain/serve/slots.py": 1,
    "toolchain/train/exchange.py": 1,
    "workers/peer_load.py": 1,
    "workers/serve_load.py": 2,
}
"""File -> raises in it that say neither. It only ever shrinks: a file that improves must be lowered here."""


def lacking(source: str) -> Iterator[int]:
    """Lines of the raises that give neither `expected` nor `next_step`; `**options` may hold either."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and name_of(node.exc.func) in TREE:
            given = {keyword.arg for keyword in node.exc.keywords}
            if given.isdisjoint({"expected", "next_step", None}):
                yield node.lineno


def name_of(function: ast.expr) -> str | None:
    """`UsageError` of both `UsageError` and `errors.UsageError`."""
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else None


def test_every_raise_says_what_was_expected_or_what_is_next() -> None:
    found = {
        file.relative_to(SOURCE).as_posix(): list(lacking(file.read_text()))
        for file in SOURCE.rglob("*.py")
        if file.relative_to(SOURCE).parts[0] != "core"
    }
    more = {file: lines for file, lines in found.items() if len(lines) > LACKING.get(file, 0)}
    assert more == {}, "give these raises an `expected` or a `next_step`"
    fewer = Counter(LACKING) - Counter({file: len(lines) for file, lines in found.items()})
    assert fewer == Counter(), "better than LACKING says: lower it by these"


@pytest.mark.parametrize(
    ("raised", "lacks"),
    [
        ("UsageError('no such step', seen=1)", True),
        ("errors.TaskError('it ended')", True),
        ("UsageError('no such step', expected='0 to 3')", False),
        ("ConfigurationError('unknown', next_step='see the page')", False),
        ("UsageError('no such step', **words)", False),
        ("ValueError('not ours')", False),
    ],
)
def test_a_raise_that_says_neither_is_found(raised: str, lacks: bool) -> None:
    assert list(lacking(f"if True:\n    raise {raised}\n")) == ([2] if lacks else [])
