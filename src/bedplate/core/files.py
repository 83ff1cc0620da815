"""Files that are complete or not there, folders that replace only what is ours, and locks that end with their holder.

Everything that bedplate keeps is written aside, flushed to the disk, and renamed into place: a reader, or the same command
after a crash, sees the old content or the new, never a part. Names that begin with a dot and end in `.partial` are such
asides. Each is locked by its writer, so the next writer of the same target recognises what a dead process left, even one of
another machine or process namespace, and removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bedplate.core.errors import UnavailableError, UsageError
from bedplate.core.reporter import NullReporter, Reporter

_POLL_S = 0.2
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def write_file(path: Path, content: bytes | str) -> None:
    """Replace the content of `path` atomically; the folder must exist.

    Raises:
        OSError: The disk or the rights do not allow it; what was there before is untouched.
    """
    with replacing_file(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def create_file(path: Path, content: bytes | str, *, mode: int = 0o666) -> bool:
    """Make `path` unless it is there, complete at the moment it appears; False where it was, or another process was first.

    Args:
        path: Its folder must exist.
        content: Of the whole file.
        mode: Rights, less the umask; they hold before the first byte is written.

    Raises:
        OSError: The disk, the rights or the file system (one without hard links) do not allow it.
    """
    aside, descriptor = _file_aside(path, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
            os.link(aside, path)
        sync_folder(path.parent)
        return True
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream that becomes `path` when the block ends well, and vanishes when it raises."""
    aside, descriptor = _file_aside(path)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            aside.replace(path)
        sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """An empty folder that becomes `path` when the block ends well, and vanishes when it raises.

    A folder that stands at `path` is replaced only if it is empty or `is_ours` recognises it, checked before the block runs
    and again before the swap: nothing that another program or a person put there is ever removed.

    Args:
        path: The folder to make; its parent is made when it is missing.
        is_ours: Whether a folder is an earlier result that may be replaced.

    Raises:
        UsageError: Something else stands at `path`.
    """
    path = path.absolute()
    _restore(path)
    check_replaceable(path, is_ours)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside, descriptor = _folder_aside(path)
    try:
        yield aside
        check_replaceable(path, is_ours)
        _sync_tree(aside)
        _put_in_place(aside, path)
        sync_folder(path.parent)
    finally:
        os.close(descriptor)
        _remove_tree(aside)
        _restore(path)


def check_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> None:
    """Raise UsageError unless `path` is free, an empty folder, or a folder that `is_ours` recognises."""
    if not path.exists() and not path.is_symlink():
        return
    if path.is_dir() and not path.is_symlink():
        if path in (Path.cwd(), *Path.cwd().parents):
            raise UsageError("the working directory cannot be replaced", seen=path, next_step="name a folder in it")
        names = sorted(item.name for item in path.iterdir())
        if not names or is_ours(path):
            return
        seen = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise UsageError(f"{path} is not empty, and not an earlier result", seen=seen, next_step="name another folder")
    raise UsageError(
        f"{path} is not a folder", seen="a link" if path.is_symlink() else "a file", next_step="name another folder"
    )


@contextmanager
def file_lock(path: Path, reporter: Reporter | None = None, waiting_for: str = "") -> Iterator[None]:
    """Hold the lock file `path`; the kernel releases it when the process ends, however it ends.

    Args:
        path: Made when it is not there, and left there.
        reporter: Notified once if another process holds it; may cancel the wait.
        waiting_for: What the other process does, for that line.

    Raises:
        CancelledError: From `reporter`, while waiting.
        UnavailableError: This file system has no locks.
    """
    reporter = reporter or NullReporter()
    with path.open("a") as stream:
        if not try_lock(stream.fileno(), path):
            reporter.say(f"another process {waiting_for or f'holds {path.name}'}; waiting for it")
            while not try_lock(stream.fileno(), path):
                reporter.check_cancelled()
                time.sleep(_POLL_S)
        yield


def try_lock(descriptor: int, path: Path) -> bool:
    """Take the exclusive lock of an open file without waiting; False when another open file has it.

    Args:
        descriptor: The open file; closing it releases the lock.
        path: Its name, for the error.

    Raises:
        UnavailableError: This file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        raise UnavailableError(
            "files cannot be locked here",
            seen=f"{path}: {os.strerror(error.errno or 0)}",
            expected="a file system with flock (local disks, NFS 4)",
            next_step="keep state and caches on a local disk: set XDG_STATE_HOME and XDG_CACHE_HOME, or --state",
        ) from error
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut, where its file system can promise that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network and FUSE file systems refuse; the rename itself stands
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_aside(path: Path) -> Path:
    """A name that nobody uses, after what dead writers of `path` left was removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with contextlib.suppress(OSError):  # somebody else was quicker, or it is not ours to remove
            _remove_if_dead(left)
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def _remove_if_dead(aside: Path) -> None:
    descriptor = os.open(aside, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink()
    finally:
        os.close(descriptor)


def _file_aside(path: Path, mode: int = 0o666) -> tuple[Path, int]:
    """An empty file beside `path`, and its locked descriptor for writing."""
    while True:
        aside = _new_aside(path)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        if _is_kept(aside, descriptor):
            return aside, descriptor
        os.close(descriptor)


def _folder_aside(path: Path) -> tuple[Path, int]:
    """An empty folder beside `path`, and its locked descriptor."""
    while True:
        aside = _new_aside(path)
        aside.mkdir()
        try:
            descriptor = os.open(aside, os.O_RDONLY)
        except FileNotFoundError:
            continue
        if _is_kept(aside, descriptor):
            return aside, descriptor
        os.close(descriptor)


def _is_kept(aside: Path, descriptor: int) -> bool:
    """Lock a new aside; False where another writer of the same target took it for a dead one's before it was locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # it is being removed
        return False
    except OSError:  # without locks nothing is ever taken for dead
        return True
    return aside.exists()


def _put_in_place(aside: Path, path: Path) -> None:
    """Make the folder `aside` be `path`; what stood there before is left at `aside`, or removed."""
    if not path.exists():
        aside.rename(path)
    elif not _exchange(aside, path):  # in two steps: a crash between them is repaired by `_restore`
        path.rename(_old_of(path))
        aside.rename(path)
        _remove_tree(_old_of(path))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the C library, the kernel or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _restore(path: Path) -> None:
    """Bring back what a process that died between two renames had moved out of the way; remove it where it was replaced."""
    old = _old_of(path)
    if not old.exists():
        return
    if path.exists():
        _remove_tree(old)
    else:
        old.rename(path)


def _old_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.old.replaced")


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(root))


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
