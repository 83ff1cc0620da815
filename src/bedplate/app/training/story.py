"""What happened to a training run, kept in a file so that it survives the supervisor.

One JSON line an entry, appended as it happens. A line that was cut off by a crash is dropped when the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bedplate.core.json import JsonObject


class Story:
    """Entries in order; `kind` says what each is: `attempt`, `step`, `failure`, `resumed`, `evaluated`, …"""

    def __init__(self, file: Path) -> None:
        """Read what there is."""
        self._file = file
        self._entries: list[JsonObject] = list(_read(file))

    def add(self, kind: str, at_s: float, **attributes: object) -> None:
        """Append an entry, and write it down."""
        entry = {"kind": kind, "at_s": at_s, **attributes}
        self._entries.append(entry)  # type: ignore[arg-type]
        with self._file.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def of(self, kind: str) -> list[JsonObject]:
        """All entries of a kind, oldest first."""
        return [entry for entry in self._entries if entry["kind"] == kind]

    def steps(self) -> list[JsonObject]:
        """The steps that count, by number: of those that were repeated, the last."""
        last = {entry["step"]: entry for entry in self.of("step")}
        return [last[step] for step in sorted(last)]  # type: ignore[type-var]


def _read(file: Path) -> Iterator[JsonObject]:
    if not file.is_file():
        return
    text = file.read_text()
    whole, _, torn = text.rpartition("\n")
    if torn:
        file.write_text(whole + "\n" if whole else "")
    for line in whole.splitlines():
        entry: JsonObject = json.loads(line)
        yield entry
