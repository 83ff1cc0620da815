"""What happened to a training run, kept in a file so that it survives the supervisor.

One JSON line an entry, appended as it happens. A line that was cut off by a crash is dropped when the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
"""`kind`, `at_s`, and what the kind has."""


class Story:
    """Entries in order; `kind` says what each is: `attempt`, `step`, `failure`, `resumed`, `evaluated`, …"""

    def __init__(self, file: Path) -> None:
        """Read what there is."""
        self._file = file
        self.entries: list[Entry] = list(_read(file))
        """All of them, oldest first."""

    def add(self, kind: str, at_s: float, **attributes: object) -> None:
        """Append an entry, and write it down."""
        entry: Entry = {"kind": kind, "at_s": at_s, **attributes}
        self.entries.append(entry)
        with self._file.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def of(self, kind: str) -> list[Entry]:
        """All entries of a kind, oldest first."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def steps(self) -> list[Entry]:
        """The steps that count, by number: of those that were repeated, the last."""
        last = {entry["step"]: entry for entry in self.of("step")}
        return [last[step] for step in sorted(last)]


def _read(file: Path) -> Iterator[Entry]:
    if not file.is_file():
        return
    text = file.read_text()
    whole, _, torn = text.rpartition("\n")
    if torn:
        file.write_text(whole + "\n" if whole else "")
    for line in whole.splitlines():
        entry: Entry = json.loads(line)
        yield entry
