"""What exists once in the house is used, not written again."""

from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "bedplate"


@pytest.mark.parametrize(
    ("words", "home", "instead"),
    [
        ("did you mean", "core/errors.py", "check_known or did_you_mean"),
        ("import yaml", "documents/", "documents.reading"),
    ],
)
def test_only_one_place_has_it(words: str, home: str, instead: str) -> None:
    files = [file.relative_to(SOURCE).as_posix() for file in SOURCE.rglob("*.py") if words in file.read_text()]
    own = [file for file in files if not file.startswith((home, "locale/"))]  # locale reads its own catalogues
    assert own == [], f"use {instead}"
    assert files
