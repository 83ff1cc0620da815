"""Opening the state database, and turning its driver's errors into ours.

SQLite runs in WAL mode, so that readers (`ps` while a run goes on) never wait for the writer; every write takes the
write lock at its start (`BEGIN IMMEDIATE`), which spares two writers the deadlock of an upgrade in the middle.
Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc

from bedplate.core.errors import BedplateError, IntegrityError, UnavailableError, UsageError
from bedplate.state import tables

_BUSY_TIMEOUT_MS = 15_000
_NO_ROOM_BYTES = 1 << 16
_READING = "bedplate_reading"


def open_database(url: str, *, create: bool) -> Engine | None:
    """An engine over the database at `url` with the tables in it; None when it does not exist and `create` is false.

    Raises:
        UsageError: `url` is not a database URL.
        UnavailableError: It cannot be opened or made.
        IntegrityError: It is not a state database, or a newer bedplate's.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except exc.ArgumentError:
        raise UsageError("not a state URL", seen=url, expected="sqlite:////path/state.db, postgresql://… or a folder") from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database and not Path(parsed.database).exists():
        if not create:
            return None
        _make_folder(Path(parsed.database).parent, url)
    with translated_errors(url):
        engine = sqlalchemy.create_engine(parsed)
        if is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        _check_schema(engine, url)
    return engine


@contextmanager
def reading(engine: Engine, url: str) -> Iterator[Connection]:
    """A connection inside one read transaction: all its answers are of one moment."""
    with translated_errors(url), engine.connect().execution_options(**{_READING: True}) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, url: str) -> Iterator[Connection]:
    """A connection inside one write transaction: committed whole at the end, or not at all."""
    with translated_errors(url), engine.begin() as connection:
        yield connection


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Driver errors inside become ours, with what to do."""
    try:
        yield
    except exc.DBAPIError as error:
        raise _translated(str(error.orig), url) from error
    except exc.NoSuchModuleError as error:
        raise UsageError("no driver for this state URL", seen=url, expected="sqlite:////path/state.db") from error


def _translated(text: str, url: str) -> BedplateError:
    words = text.lower()
    if "full" in words or ("i/o error" in words and _is_disk_full(url)):
        return UnavailableError(
            "the disk under the state is full",
            seen=f"{url}: {text}",
            expected="some free megabytes",
            next_step="free some space, then run the same command again: finished steps are kept",
        )
    if "readonly" in words or "read-only" in words or "unable to open" in words:
        return UnavailableError(
            "the state cannot be written",
            seen=f"{url}: {text}",
            expected="a database in a folder that you may write",
            next_step="mend its permissions, or choose another place with --state FOLDER",
        )
    if "locked" in words:
        return UnavailableError(
            "the state is locked by another process",
            seen=f"{url}: {text}",
            expected="a lock that is free within 15 s",
            next_step="see who holds the file open, or choose another place with --state FOLDER",
        )
    if "not a database" in words or "malformed" in words or "no such" in words:
        return IntegrityError(
            "the state is damaged, or is not bedplate's",
            seen=f"{url}: {text}",
            expected="a state database",
            next_step="move it away and run again, or choose another place with --state FOLDER",
        )
    return UnavailableError("the state database refuses", seen=f"{url}: {text}", next_step="choose another with --state")


def _is_disk_full(url: str) -> bool:
    """Whether the disk of an SQLite database has no room: growing its shared-memory file then fails as an I/O error."""
    folder = Path(sqlalchemy.make_url(url).database or ".").parent
    return folder.exists() and shutil.disk_usage(folder).free < _NO_ROOM_BYTES


def _make_folder(folder: Path, url: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            "the folder for the state cannot be made",
            seen=f"{folder}: {error.strerror}",
            expected="a place that you may write",
            next_step="choose another with --state FOLDER",
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    for pragma in (f"busy_timeout={_BUSY_TIMEOUT_MS}", "foreign_keys=on", "synchronous=full"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _check_schema(engine: Engine, url: str) -> None:
    if not sqlalchemy.inspect(engine).has_table("schema"):
        _make_tables(engine, url)
    with reading(engine, url) as connection:
        version = connection.scalar(sqlalchemy.select(tables.schema.c.version))
    if version != tables.SCHEMA_VERSION:
        raise IntegrityError(
            "the state was written by another version of bedplate",
            seen=f"{url}: schema {version}",
            expected=f"schema {tables.SCHEMA_VERSION}",
            next_step="use that version, or choose another place with --state FOLDER",
        )


def _make_tables(engine: Engine, url: str) -> None:
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode=wal")
        finally:
            connection.close()
    with writing(engine, url) as connection_:
        tables.metadata.create_all(connection_)
        if connection_.scalar(sqlalchemy.select(tables.schema.c.version)) is None:
            connection_.execute(tables.schema.insert().values(version=tables.SCHEMA_VERSION))
