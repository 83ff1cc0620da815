"""The directories that a job will write to and read from: their write and read rates, and whether they have room.

A file is written, flushed to the device, dropped from the page cache, read back and compared. The rate of a small file on
a device with a cache of its own is an upper bound; what matters here is the store that is ten times too slow, or full.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.units import format_bytes, format_rate

CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """What one directory did."""

    name: str
    path: Path
    free_bytes: int
    write_bytes_per_s: float | None
    """Including the flush to the device; None where it could not be written."""
    read_bytes_per_s: float | None
    reason: str = ""
    """Why it cannot be used; empty when it can."""


def try_store(name: str, path: Path, need_bytes: int, floor_bytes_per_s: float, size_bytes: int = 32 * 2**20) -> StoreReport:
    """Write, flush, read and compare one file in `path`, which is made when missing; leaves no file behind.

    Args:
        name: For people: `state`, `cache`.
        path: The directory.
        need_bytes: Free space that the job wants.
        floor_bytes_per_s: Rate below which it is too slow to be used.
        size_bytes: Size of the file; less where there is less room.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        free_bytes = _free_bytes(path)
        write_rate, read_rate, is_right = _write_and_read(path, max(CHUNK_BYTES, min(size_bytes, free_bytes // 4)))
    except OSError as error:
        free = _free_bytes(path) if path.is_dir() else 0
        return StoreReport(
            name=name,
            path=path,
            free_bytes=free,
            write_bytes_per_s=None,
            read_bytes_per_s=None,
            reason=f"cannot be used: {error}",
        )
    reason = ""
    if not is_right:
        reason = "returned other bytes than were written"
    elif free_bytes < need_bytes:
        reason = f"has {format_bytes(free_bytes)} free, the job needs {format_bytes(need_bytes)}"
    elif min(write_rate, read_rate) < floor_bytes_per_s:
        rates = f"writes {format_rate(write_rate)}, reads {format_rate(read_rate)}"
        reason = f"{rates}; at least {format_rate(floor_bytes_per_s)} is needed"
    return StoreReport(
        name=name, path=path, free_bytes=free_bytes, write_bytes_per_s=write_rate, read_bytes_per_s=read_rate, reason=reason
    )


def _write_and_read(path: Path, size_bytes: int) -> tuple[float, float, bool]:
    chunks = [os.urandom(CHUNK_BYTES)] * (size_bytes // CHUNK_BYTES)
    # Without a name where the file system can: a process that is killed here leaves no file.
    with tempfile.TemporaryFile(dir=path, buffering=0) as file:
        began_s = time.perf_counter()
        for chunk in chunks:
            file.write(chunk)
        os.fsync(file.fileno())
        write_s = time.perf_counter() - began_s
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        found = []
        began_s = time.perf_counter()
        while chunk := file.read(CHUNK_BYTES):
            found.append(chunk)
        read_s = time.perf_counter() - began_s
    size = len(chunks) * CHUNK_BYTES
    return size / write_s, size / read_s, _digest(chunks) == _digest(found)


def _digest(chunks: list[bytes]) -> bytes:
    total = hashlib.blake2b()
    for chunk in chunks:
        total.update(chunk)
    return total.digest()


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
