"""Entries of the cache: made by one process at a time, whoever comes second waits and finds them made."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT_S = 0.2


@contextmanager
def locked_entry(target: Path, say: Callable[[str], None], check_cancelled: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the cache entry `target`; the kernel gives it back when the process ends, however it ends.

    Raises:
        CancelledError: From `check_cancelled`, while waiting.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{target.name}.lock").open("w") as stream:
        if not _try_lock(stream.fileno()):
            say(f"another process makes {target.name}; waiting for it")
            while not _try_lock(stream.fileno()):
                check_cancelled()
                time.sleep(_WAIT_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
