"""Standard output and error that are closed, full, or no longer read.

Descriptors 1 and 2 that are closed at the start would be given to the next files that are opened, and what is printed
would end up in them; so nothing is started then. A reader that leaves early (`| head`) is no error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

_STREAM_ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EBADF, errno.EFBIG)


def closed_stream() -> str | None:
    """Name of a standard stream that was closed before the start, or None."""
    if sys.stdout is None:
        return "standard output"
    return "standard error" if sys.stderr is None else None


def report_closed(name: str) -> None:
    """Say on the stream that is left that `name` is closed."""
    left, number = (sys.stderr, 1) if name == "standard output" else (sys.stdout, 2)
    if left is not None:
        print(f"error [BP200]: {name} is closed\n  next:     send it to a file, or away with {number}>/dev/null", file=left)


def flush_output() -> None:
    """Write what is still buffered for standard output.

    Raises:
        OSError: It cannot be written, or no longer is read.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def is_stream_error(error: OSError) -> bool:
    """Whether `error` comes from writing a standard stream: such errors name no file."""
    return error.errno in _STREAM_ERRORS and error.filename is None


def settle_streams() -> None:
    """Write what both streams still hold; where that fails, send it nowhere, or the interpreter fails on it at its end.

    Called whatever the outcome was: a lost reader must not change the exit code, which Python makes 120.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
