"""The directory of a disk tier: whether it is one, and which process may use it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.files import try_lock
from bedplate.storage.kvcache.manifest import MANIFEST_FILE
from bedplate.storage.kvcache.segment import is_segment, segment_files

LOCK_FILE = "lock"


def open_folder(directory: Path) -> int:
    """Make the directory if need be, and lock it for this process.

    Returns:
        The descriptor that holds the lock until it is closed.

    Raises:
        UsageError: It holds something else than a KV store.
        UnavailableError: Another process has it open, or it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not is_store(directory) and (foreign := _foreign_names(directory)):
            raise UsageError(
                "the directory is not a KV store, and not empty",
                seen=f"{directory} holds {_listed(foreign)}",
                expected="a directory of its own for the KV store",
                next_step="name another directory",
            )
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnavailableError(
            "the KV store's directory cannot be used",
            seen=f"{directory}: {error.strerror}",
            expected="a directory that can be written",
            next_step="name another directory",
        ) from error
    try:
        if not try_lock(descriptor, directory / LOCK_FILE):
            raise _in_use(directory)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_folder_to_read(directory: Path) -> int | None:
    """Keep writers out of the directory while it is read, where this process may: nothing is made or changed.

    Returns:
        The descriptor that holds a shared lock; None where the lock cannot be taken (another user's, a read-only disk).

    Raises:
        NotFoundError: No such directory, or one that is not a KV store.
        UnavailableError: A process has it open for writing, or it cannot be read.
    """
    if not directory.is_dir():
        raise NotFoundError("no KV store here", seen=directory, expected="a directory that a `kv://` URL was opened with")
    try:
        if not is_store(directory):
            names = _listed([path.name for path in directory.iterdir()])
            raise NotFoundError(
                "not a KV store",
                seen=f"{directory} holds {names}" if names else f"{directory} is empty",
                expected="a directory that a `kv://` URL was opened with",
            )
    except OSError as error:
        raise UnavailableError(
            "the KV store cannot be read",
            seen=f"{directory}: {error.strerror}",
            expected="a directory that this user can read",
        ) from error
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _in_use(directory) from None
    except OSError:  # no locks on this file system: reading changes nothing, so it may proceed
        pass
    return descriptor


def is_store(directory: Path) -> bool:
    """Whether the directory has a manifest, or at least a segment (stores had no manifest at first)."""
    return (directory / MANIFEST_FILE).is_file() or any(is_segment(path) for _, path in segment_files(directory))


def _foreign_names(directory: Path) -> list[str]:
    """Names that a store which died while it was being made cannot have left."""
    names = (path.name for path in directory.iterdir())
    return [name for name in names if name != LOCK_FILE and not name.startswith(f".{MANIFEST_FILE}.")]


def _listed(names: list[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _in_use(directory: Path) -> UnavailableError:
    return UnavailableError(
        "the KV store is in use by another process",
        seen=directory,
        expected="one process at a time",
        next_step="stop the other process, or give this one a directory of its own",
    )
