"""Identifies the content of a file or folder: names, sizes and digests, so that neither `touch` nor moving it is a change.

Every byte counts, up to a budget for each input. Digests of files that are worth it are kept (`content_digests.py`), so a
large input is read once and not on every start. Of files beyond the budget, the time of change and both ends count: an edit in
the middle that keeps size and time is missed there, and `touch` is a change.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bedplate.app.pipeline.file.content_digests import ContentDigests
from bedplate.core.json import Json

BUDGET_BYTES = 1 << 32
"""Bytes of one input that are read completely; some seconds, once."""
END_BYTES = 1 << 16
"""Bytes that are read at each end of a file beyond the budget."""


def identity_of(path: Path, derived: tuple[str, ...], digests: ContentDigests) -> Iterator[list[Json]]:
    """Name, size and digest of a file, or of all files in a folder, by name; the name of `path` itself is empty. O(files).

    Links are followed. Names that begin with a dot or match `derived` are left out: locks, and what bedplate makes there.
    """
    if path.is_dir():
        yield ["", "folder"]
    left_bytes = BUDGET_BYTES
    for name, file in sorted(_files(path, derived)):
        try:
            facts = file.stat()
            if not stat.S_ISREG(facts.st_mode):  # reading a pipe would wait
                continue
            if facts.st_size <= left_bytes:
                left_bytes -= facts.st_size
                yield [name, facts.st_size, digests.digest(file)]
            else:
                yield [name, facts.st_size, _digest_of_ends(file, facts.st_size), facts.st_mtime_ns]
        except OSError as error:
            yield [name, error.strerror or "unreadable"]


def _files(path: Path, derived: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield "", path
        return
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(path, followlinks=True):
        if (here := _inode(Path(root))) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if _counts(name, derived)]
        found = (Path(root) / name for name in files if _counts(name, derived))
        yield from ((str(file.relative_to(path)), file) for file in found)


def _counts(name: str, derived: tuple[str, ...]) -> bool:
    return not name.startswith(".") and not any(fnmatch.fnmatch(name, pattern) for pattern in derived)


def _inode(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _digest_of_ends(file: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        digest.update(stream.read(END_BYTES))
        stream.seek(max(0, size - END_BYTES))
        digest.update(stream.read(END_BYTES))
    return digest.hexdigest()
