"""One runner per run: a file lock that the kernel releases however the holder ends.

The file names the holder, for messages and for `cancel --force`. Because the lock, not the name, says whether the holder
lives, a recycled process id is never mistaken for it. A process that the holder forked keeps the lock until it too has
ended; so does a reader that looks for an instant, which is why taking it is tried for a moment. Runs of a state that
several machines share (PostgreSQL) are locked in the database as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from bedplate.app.pipeline.run.process import ProcessIdentity, identity_as_json, identity_from_json, this_process
from bedplate.core.clock import Clock
from bedplate.core.errors import UnavailableError
from bedplate.core.files import try_lock
from bedplate.state.database.locks import RunLock
from bedplate.state.store import StateStore

_TRY_FOR_S = 1.5
_TRY_EVERY_S = 0.05
UNKNOWN = ProcessIdentity(pid=0, host="")
"""A holder that did not say who it is, or may not be asked."""


@contextlib.contextmanager
def locked(directory: Path, run_id: str, state: StateStore) -> Iterator[RunLock]:
    """Hold the run's lock while inside; gives its half in the database, which can be lost with its session.

    Raises:
        UnavailableError: Another process holds it (named), files cannot be locked there, or the directory cannot be
            written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UnavailableError(
            "the run's directory cannot be written",
            seen=f"{directory}: {error.strerror}",
            expected="a writable directory with free space",
            next_step="free some space or fix its permissions, or choose another place with --state FOLDER",
        ) from error
    try:
        if not _take(descriptor, directory / "lock", state.clock):
            raise _taken(run_id, read_holder(directory) or UNKNOWN)
        with state.locks.hold(run_id) as lock:
            if lock is None:
                run = state.runs.get(run_id)
                raise _taken(run_id, (identity_from_json(run.holder) if run else None) or UNKNOWN)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(identity_as_json(this_process())).encode(), 0)
            yield lock
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def holding(directory: Path) -> Iterator[bool]:
    """Hold the lock of a directory that this machine alone uses; False, and at once, where another process has it.

    Raises:
        UnavailableError: This file system has no locks.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not try_lock(descriptor, directory / "lock"):
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(identity_as_json(this_process())).encode(), 0)
        yield True
    finally:
        os.close(descriptor)


def holder_of(directory: Path) -> ProcessIdentity | None:
    """Which process holds the lock of this run directory now, or None; `UNKNOWN` where it cannot be looked at."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return UNKNOWN
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_holder(directory) or UNKNOWN
    except OSError:  # no locks on this file system, so no run ever started here
        return None
    finally:
        os.close(descriptor)
    return None


def read_holder(directory: Path) -> ProcessIdentity | None:
    """The process that took the lock last."""
    try:
        return identity_from_json(json.loads((directory / "lock").read_text()))
    except (OSError, ValueError):
        return None


def _take(descriptor: int, path: Path, clock: Clock) -> bool:
    deadline_s = clock.now() + _TRY_FOR_S
    while not try_lock(descriptor, path):
        if clock.now() >= deadline_s:
            return False
        clock.wait(_TRY_EVERY_S)
    return True


def _taken(run_id: str, holder: ProcessIdentity) -> UnavailableError:
    return UnavailableError(
        f"run {run_id} is already running",
        seen=holder,
        expected="one process per run",
        next_step=f"'bedplate ps' shows it, 'bedplate cancel {run_id}' ends it, --new starts another",
    )
