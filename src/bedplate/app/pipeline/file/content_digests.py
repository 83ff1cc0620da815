"""Digests of files, kept so that a large input is read once and not on every start.

A kept digest counts while device, inode, size, time of change and time of status change (which no program can set) are what
they were. A file that changed within the last seconds is not kept, since another change could carry the same times. Losing the
file of digests costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from bedplate.core.errors import UnavailableError
from bedplate.core.files import write_file
from bedplate.core.paths import cache_home

KEPT_FROM_BYTES = 1 << 18
"""Smaller files are read as quickly as their digests are looked up."""
_SETTLED_S = 5.0
_MAX_ENTRIES = 20_000


class ContentDigests:
    """A JSON file of digests by inode; many processes may use it, and the last one to save wins."""

    def __init__(self, file: Path | None) -> None:
        """`file` None: digests are not kept."""
        self._file = file
        self._kept = {} if file is None else _read(file)
        self._found: dict[str, list[object]] = {}

    @classmethod
    def of_user(cls) -> ContentDigests:
        """Those in the user's cache folder; a user without one keeps none."""
        try:
            return cls(cache_home() / "input-digests.json")
        except UnavailableError:
            return cls(None)

    def digest(self, file: Path) -> str:
        """BLAKE2b-128 of the file; reads it only if it changed since its digest was kept.

        Raises:
            OSError: It cannot be read.
        """
        with file.open("rb") as stream:
            before = os.fstat(stream.fileno())
            inode, stamp = f"{before.st_dev}:{before.st_ino}", _stamp(before)
            entry = self._found.get(inode) or self._kept.get(inode)
            if entry is not None and entry[:-1] == stamp and before.st_size >= KEPT_FROM_BYTES:
                return str(entry[-1])
            made = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            if before.st_size >= KEPT_FROM_BYTES and _stamp(os.fstat(stream.fileno())) == stamp and _is_settled(before):
                self._found[inode] = [*stamp, made]
        return made

    def save(self) -> None:
        """Keep what was read. A cache that cannot be written is no error."""
        if self._file is None or not self._found:
            return
        entries = _read(self._file) | self._found
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._file, json.dumps(dict(list(entries.items())[-_MAX_ENTRIES:])))


def _read(file: Path) -> dict[str, list[object]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(entries, dict) and all(isinstance(entry, list) and len(entry) == 4 for entry in entries.values())
    return entries if is_ours else {}


def _stamp(facts: os.stat_result) -> list[object]:
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def _is_settled(facts: os.stat_result) -> bool:
    return time.time() - max(facts.st_mtime, facts.st_ctime) > _SETTLED_S
