"""The page about screening says what the settings say."""

import re
from pathlib import Path

from bedplate.app.operations.preflight import Settings
from bedplate.core.settings import setting_fields

PAGE = Path(__file__).parents[3] / "docs/screening.md"


def test_every_key_of_the_step_is_on_the_page_and_no_other() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(setting_fields(Settings))
