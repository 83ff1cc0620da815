"""Digests of large files that no card describes, cached so that a model is read once and not at every start.

A digest counts while path, size, inode and time of change are what they were; a file that changed within the last seconds is
not kept, since a second change could carry the same time. Losing the file costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.files import write_file
from bedplate.core.paths import cache_home
from bedplate.toolchain.data.shards import file_digest

_SETTLED_S = 5.0
_MAX_ENTRIES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCache:
    """A JSON file of digests by path; many processes may use it, and the last one to write wins."""

    file: Path

    @classmethod
    def of_user(cls) -> DigestCache:
        """The one in the user's cache folder."""
        return cls(file=cache_home() / "digests.json")

    def digest(self, file: Path) -> str:
        """BLAKE2b-256 of the file; reads it only if it changed since the last time.

        Raises:
            OSError: `file` cannot be read. A cache that cannot be read or written is ignored.
        """
        file = file.resolve()
        entries, stamp = self._read(), _stamp(file)
        entry = entries.get(str(file))
        if isinstance(entry, dict) and entry.get("stamp") == stamp and isinstance(entry.get("digest"), str):
            return str(entry["digest"])
        made = file_digest(file)
        if _stamp(file) == stamp and time.time() - file.stat().st_mtime > _SETTLED_S:
            self._write(self._read() | {str(file): {"stamp": stamp, "digest": made}})
        return made

    def _read(self) -> dict[str, object]:
        try:
            entries = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self, entries: dict[str, object]) -> None:
        newest = dict(list(entries.items())[-_MAX_ENTRIES:])
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.file, json.dumps(newest))


def _stamp(file: Path) -> list[int]:
    now = file.stat()
    return [now.st_size, now.st_mtime_ns, now.st_ino]
