"""The directory of a gang: a log a rank, which stays, and a scratch directory a rank, which goes with its task."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

_MAX_LOG_BYTES = 1_000_000


def new_directory(root: Path, name: str) -> Path:
    """`root/NAME-N` with the first free N: making it is what reserves it, also between engines."""
    for number in itertools.count(1):
        directory = root / f"{name}-{number}"
        try:
            directory.mkdir()
            return directory
        except FileExistsError:
            continue
    raise AssertionError("count() does not end")


def log_path(directory: Path, rank: int) -> Path:
    """Where the stdout and stderr of a rank go."""
    return directory / f"rank-{rank}.log"


def scratch_path(directory: Path, rank: int) -> Path:
    """The scratch directory of a rank."""
    return directory / f"scratch-{rank}"


def read_log(path: Path) -> str:
    """A log as it was written, newest megabyte at most."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _MAX_LOG_BYTES))
        return file.read().decode(errors="replace")
