"""Opening the state: whose database it is, making or upgrading it, and reading one that cannot be written.

Nothing is created in a database before it is known to be ours or empty. A state that its reader cannot write (a
read-only or full disk, another user's folder) is read as a copy: SQLite's WAL mode needs a writable folder even to read.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from bedplate.core.errors import BedplateError, UnavailableError
from bedplate.state.database.connections import Database, make_engine
from bedplate.state.database.driver_errors import is_only_readable
from bedplate.state.database.location import StateLocation
from bedplate.state.database.schema import bring_up_to_date


def open_database(location: StateLocation, *, create: bool) -> Database | None:
    """The database at `location` with today's tables in it; None when there is none and `create` is false.

    Args:
        location: Where it is.
        create: Make it when it is not there. False also opens one that can only be read; writing to it is refused.

    Raises:
        UnavailableError: It cannot be reached, opened or made.
        IntegrityError: It is damaged, not a state database, or a newer bedplate's; it was left as it is.
    """
    if location.is_sqlite and not location.file.exists():
        if not create:
            return None
        _make_folder(location.file.parent)
    database = Database(location, make_engine(location))
    try:
        is_there = bring_up_to_date(database, create=create)
    except BedplateError as error:
        database.close()
        if create or not location.is_sqlite or not is_only_readable(error, location):
            raise
        return _open_snapshot(location)
    except BaseException:
        database.close()
        raise
    if is_there:
        return database
    database.close()
    return None


def _open_snapshot(location: StateLocation) -> Database | None:
    """A copy of an SQLite database, with what its write-ahead log holds; removed when it is closed."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="bedplate-state-")
    except OSError as error:
        raise _not_copied(location, error) from error
    copy = StateLocation(url=location.url.set(database=str(Path(folder.name) / "state.db")), runs_folder=location.runs_folder)
    try:
        for suffix in ("", "-wal"):
            source = location.file.with_name(location.file.name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.file.with_name(copy.file.name + suffix))
        engine = make_engine(copy)
        if bring_up_to_date(Database(copy, engine), create=False):
            return Database(location, engine, on_close=folder.cleanup, is_snapshot=True)
        engine.dispose()
    except OSError as error:
        folder.cleanup()
        raise _not_copied(location, error) from error
    except BaseException:
        folder.cleanup()
        raise
    folder.cleanup()
    return None


def _not_copied(location: StateLocation, error: OSError) -> UnavailableError:
    return UnavailableError(
        "the state can be neither opened nor copied",
        seen=f"{location}: {error.strerror}",
        expected="a state that you may read, and room for a copy of it in the temporary folder",
        next_step="fix its permissions, or run as the user whose state it is; on a full disk set TMPDIR to a folder with room",
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            "the folder for the state cannot be made",
            seen=f"{folder}: {error.strerror}",
            expected="a writable directory",
            next_step="choose another with --state FOLDER",
        ) from error
