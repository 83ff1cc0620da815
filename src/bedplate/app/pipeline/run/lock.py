"""One runner a run: a lock on a file that the kernel gives back however the holder ends.

The file holds the holder's process id and host, for messages and for `cancel --force`. Because the lock, not the number,
says whether the holder lives, a recycled process id is never mistaken for it. A process that the holder forked keeps the
lock until it too is gone; so does a reader that looks for an instant, which is why taking it is tried for a moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import UnavailableError

_TRY_FOR_S = 1.5
_TRY_EVERY_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """Who runs a run."""

    pid: int
    host: str

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()


@contextlib.contextmanager
def locked(directory: Path, run_id: str) -> Iterator[None]:
    """Hold the run's lock while inside.

    Raises:
        UnavailableError: Somebody else holds it (named), or the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UnavailableError(
            "the run's directory cannot be written",
            seen=f"{directory}: {error.strerror}",
            expected="a place with free space that you may write",
            next_step="free some space or mend permissions, or choose another place with --state FOLDER",
        ) from error
    try:
        _take(descriptor, directory, run_id)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder_of(directory: Path) -> LockHolder | None:
    """Who holds the lock of this run directory now, or None."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(directory) or LockHolder(pid=0, host=socket.gethostname())
    finally:
        os.close(descriptor)
    return None


def _take(descriptor: int, directory: Path, run_id: str) -> None:
    deadline_s = time.monotonic() + _TRY_FOR_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                holder = _read_holder(directory)
                raise UnavailableError(
                    f"run {run_id} is being run already",
                    seen=f"process {holder.pid} on {holder.host}" if holder else "another process",
                    expected="one process a run",
                    next_step=f"'bedplate ps' shows it, 'bedplate cancel {run_id}' ends it, --new starts another",
                ) from None
            time.sleep(_TRY_EVERY_S)


def _read_holder(directory: Path) -> LockHolder | None:
    try:
        facts = json.loads((directory / "lock").read_text())
        return LockHolder(pid=int(facts["pid"]), host=str(facts["host"]))
    except (OSError, ValueError, KeyError):
        return None
