"""Identifies the content of a file, without reading very large inputs on every start.

A file counts as changed when its size or modification time did, as in make, or when its bytes differ. The bytes catch what
keeps size and time: archives and packages that set one time for all files, `cp -p`, `rsync -t`. They are read completely up
to a budget for each input (some tenths of a second); beyond it, both ends of each file are read, so an edit in the middle
of a file that keeps size and time is missed there.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bedplate.core.json import Json

BUDGET_BYTES = 1 << 28
"""Bytes of one input that are read completely."""
END_BYTES = 1 << 16
"""Bytes that are read at each end of a file beyond the budget."""


def identity_of(path: Path, derived: tuple[str, ...] = ()) -> Iterator[list[Json]]:
    """Path, size, time of change and digest of a file, or of all files in a folder, by name. O(files).

    Links are followed. Names that begin with a dot or match `derived` are left out: locks, and what bedplate makes there.
    """
    left_bytes = BUDGET_BYTES
    for file in sorted(_files(path, derived)):
        try:
            facts = file.stat()
            if stat.S_ISREG(facts.st_mode):  # reading a pipe would wait
                is_complete = facts.st_size <= left_bytes
                left_bytes -= facts.st_size if is_complete else 0
                yield [str(file), facts.st_size, facts.st_mtime_ns, _digest(file, facts.st_size, is_complete=is_complete)]
        except OSError as error:
            yield [str(file), error.strerror or "unreadable"]


def _files(path: Path, derived: tuple[str, ...]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(path, followlinks=True):
        if (here := _inode(Path(root))) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if _counts(name, derived)]
        yield from (Path(root) / name for name in files if _counts(name, derived))


def _counts(name: str, derived: tuple[str, ...]) -> bool:
    return not name.startswith(".") and not any(fnmatch.fnmatch(name, pattern) for pattern in derived)


def _inode(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _digest(file: Path, size: int, *, is_complete: bool) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        if is_complete or size <= 2 * END_BYTES:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        else:
            digest.update(stream.read(END_BYTES))
            stream.seek(-END_BYTES, os.SEEK_END)
            digest.update(stream.read(END_BYTES))
    return digest.hexdigest()
