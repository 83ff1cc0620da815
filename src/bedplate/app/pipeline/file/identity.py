"""Identifies the content of a file, without reading large files on every start.

A file counts as changed when its size or time of change did, as make has it, or when its bytes differ where they are read:
all of a small file, both ends of a large one. The bytes catch what keeps size and time: archives and packages that set one
time for all files, `cp -p`, and an edit of one digit in between.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bedplate.core.json import Json

SMALL_BYTES = 1 << 20
"""Files up to this size are read completely."""
END_BYTES = 1 << 16
"""So much is read at each end of a larger one."""
BUDGET_BYTES = 1 << 28
"""So much is read of one input in all, or each start would take minutes; of further files only size and time count."""


def identity_of(path: Path, derived: tuple[str, ...] = ()) -> Iterator[list[Json]]:
    """Path, size, time of change and digest of a file, or of all files in a folder, by name. O(files).

    Links are followed. Names that begin with a dot or match `derived` are left out: locks, and what bedplate makes there.
    """
    left_bytes = BUDGET_BYTES
    for file in sorted(_files(path, derived)):
        try:
            facts = file.stat()
            if stat.S_ISREG(facts.st_mode):  # reading a pipe would wait
                content = _sample(file, facts.st_size) if left_bytes > 0 else b""
                left_bytes -= len(content)
                yield [str(file), facts.st_size, facts.st_mtime_ns, hashlib.blake2b(content, digest_size=16).hexdigest()]
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


def _sample(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        if size <= SMALL_BYTES:
            return stream.read(SMALL_BYTES)
        begin = stream.read(END_BYTES)
        stream.seek(-END_BYTES, os.SEEK_END)
        return begin + stream.read(END_BYTES)
