"""Errors of the database driver as errors of ours, by their codes: what a code means is documented, its words are not.

Sources: https://www.sqlite.org/rescode.html (Python: `sqlite_errorname`),
https://www.postgresql.org/docs/current/errcodes-appendix.html (psycopg: `sqlstate`; its first two characters are a class).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import exc

from bedplate.core.errors import BedplateError, IntegrityError, UnavailableError, UsageError
from bedplate.state.database.location import StateLocation

LOCK_TIMEOUT_S = 15
"""How long a statement waits for another process's lock."""
_NO_ROOM_BYTES = 1 << 16
_READ_ONLY_SQLITE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")
_OUTAGE_POSTGRESQL = ("08", "57P", "53300")
_READ_ONLY_POSTGRESQL = ("42501", "25006")


@contextmanager
def translated_errors(location: StateLocation) -> Iterator[None]:
    """Driver errors inside become ours, with what to do.

    Raises:
        UnavailableError: Locked, full, read-only, not reachable, or its driver is not installed.
        IntegrityError: Damaged, or not a state database.
    """
    try:
        yield
    except exc.DBAPIError as error:
        raise _translated(error.orig or error, location) from error
    except sqlite3.Error as error:  # of a connection that is used without SQLAlchemy
        raise _translated(error, location) from error
    except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise UnavailableError(
            "no driver for this state is installed", seen=error, next_step="pip install 'bedplate[postgres]'"
        ) from error
    except UnicodeEncodeError as error:
        raise UsageError("the state cannot store this text", seen=repr(error.object[:80]), expected="UTF-8") from error


def is_only_readable(error: BedplateError, location: StateLocation) -> bool:
    """Whether `error`, which `translated_errors` raised, says that an SQLite state cannot be written: read-only, or full."""
    cause = error.__cause__
    if not isinstance(cause, exc.DBAPIError):
        return False
    base = _base(str(getattr(cause.orig, "sqlite_errorname", "")))
    return base in _READ_ONLY_SQLITE or _says_full(base, location)


def is_outage(error: BedplateError) -> bool:
    """Whether `error`, which `translated_errors` raised, says that a server is away, and may come back by itself."""
    cause = error.__cause__
    if not isinstance(cause, exc.OperationalError) or hasattr(cause.orig, "sqlite_errorname"):
        return False
    state = getattr(cause.orig, "sqlstate", None)
    return state is None or state.startswith(_OUTAGE_POSTGRESQL)


def _translated(error: BaseException, location: StateLocation) -> BedplateError:
    seen = f"{location}: {str(error).strip()}"
    if (name := getattr(error, "sqlite_errorname", None)) is not None:
        return _from_sqlite(str(name), seen, location)
    return _from_postgresql(getattr(error, "sqlstate", None), seen)


def _from_sqlite(name: str, seen: str, location: StateLocation) -> BedplateError:
    base = _base(name)
    if _says_full(base, location):
        return _full(seen)
    if base in _READ_ONLY_SQLITE:
        return read_only_error(seen)
    if base in ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"):
        return _locked(seen)
    if base in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_FORMAT", "SQLITE_MISMATCH"):
        return _damaged(seen)
    return _rejected(seen)


def _from_postgresql(state: str | None, seen: str) -> BedplateError:
    if state is None or state.startswith("08"):
        return UnavailableError(
            "the state's PostgreSQL server cannot be reached",
            seen=seen,
            expected="a server that accepts this user and database",
            next_step="check address, user, password and that the database exists",
        )
    if state in ("53100", "53200", "54000"):
        return _full(seen)
    if state.startswith("57P") or state == "53300":
        return UnavailableError(
            "the state's PostgreSQL server is not accepting work",
            seen=seen,
            next_step="run the same command again when it is up: finished steps are kept",
        )
    if state in _READ_ONLY_POSTGRESQL:
        return read_only_error(seen)
    if state in ("55P03", "40P01", "40001", "57014"):
        return _locked(seen)
    if state.startswith(("42", "XX", "58")):
        return _damaged(seen)
    return _rejected(seen)


def _base(name: str) -> str:
    """`SQLITE_READONLY` for `SQLITE_READONLY_DIRECTORY`."""
    return "_".join(name.split("_")[:2])


def _says_full(base: str, location: StateLocation) -> bool:
    return base == "SQLITE_FULL" or (base in ("SQLITE_IOERR", "SQLITE_CANTOPEN") and _is_disk_full(location))


def _full(seen: str) -> BedplateError:
    return UnavailableError(
        "the disk under the state is full",
        seen=seen,
        expected="some free megabytes",
        next_step="free some space, then run the same command again: finished steps are kept",
    )


def read_only_error(seen: object) -> BedplateError:
    """A state that can be read at most."""
    return UnavailableError(
        "the state cannot be written",
        seen=seen,
        expected="a database in a folder that you may write",
        next_step="fix its permissions, or choose another place with --state FOLDER",
    )


def _locked(seen: str) -> BedplateError:
    return UnavailableError(
        "the state is locked by another process",
        seen=seen,
        expected=f"a lock that is free within {LOCK_TIMEOUT_S} s",
        next_step="see who holds the database open, or choose another place with --state FOLDER",
    )


def _damaged(seen: str) -> BedplateError:
    return IntegrityError(
        "the state is damaged, or is not bedplate's",
        seen=seen,
        expected="a state database",
        next_step="move it away and run again, or choose another place with --state FOLDER",
    )


def _rejected(seen: str) -> BedplateError:
    return BedplateError(
        "the state database rejected the operation", seen=seen, next_step="choose another place with --state FOLDER"
    )


def _is_disk_full(location: StateLocation) -> bool:
    """Whether the disk of an SQLite database has no room: growing its shared-memory file then fails as an I/O error."""
    folder: Path = location.file.parent
    return folder.exists() and shutil.disk_usage(folder).free < _NO_ROOM_BYTES
