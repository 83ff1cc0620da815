"""What tells one content of a file from another, without reading large files on every start.

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


def identity_of(path: Path, derived: tuple[str, ...] = ()) -> Iterator[list[Json]]:
    """Path, size, time of change and digest of a file, or of all files in a folder, by name. O(files).

    Links are followed. Names that begin with a dot or match `derived` are left out: locks, and what bedplate makes there.
    """
    for file in sorted(_files(path, derived)):
        try:
            facts = file.stat()
            if stat.S_ISREG(facts.st_mode):  # reading a pipe would wait
                yield [str(file), facts.st_size, facts.st_mtime_ns, _digest(file, facts.st_size)]
        except OSError as error:
            yield [str(file), error.strerror or "unreadable"]


def _files(path: Path, derived: tuple[str, ...]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(path, followlinks=True):
        here = Path(root).stat()
        if (here.st_dev, here.st_ino) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = [name for name in folders if _counts(name, derived)]
        yield from (Path(root) / name for name in files if _counts(name, derived))


def _counts(name: str, derived: tuple[str, ...]) -> bool:
    return not name.startswith(".") and not any(fnmatch.fnmatch(name, pattern) for pattern in derived)


def _digest(file: Path, size: int) -> str:
    with file.open("rb") as stream:
        content = stream.read(SMALL_BYTES if size <= SMALL_BYTES else END_BYTES)
        if size > SMALL_BYTES:
            stream.seek(-END_BYTES, os.SEEK_END)
            content += stream.read(END_BYTES)
    return hashlib.blake2b(content, digest_size=16).hexdigest()
