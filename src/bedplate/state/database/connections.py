"""One database of state: transactions on it, and the two ways in which engines of SQL differ.

SQLite runs in WAL mode, so that readers (`ps` during a run) never wait for the writer; every write takes the write lock
at its start (`BEGIN IMMEDIATE`), which spares two writers the deadlock of an upgrade in the middle. PostgreSQL lets
writers work at the same time: where two of them must not, `serialise` makes the second wait for the first one's commit.
Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html,
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event

from bedplate.state.database.driver_errors import LOCK_TIMEOUT_S, read_only_error, translated_errors
from bedplate.state.database.location import StateLocation
from bedplate.state.database.rows import json_text

_CONNECT_TIMEOUT_S = 10
_READING = "bedplate_reading"


class Database:
    """Transactions on the database at `location`. Thread-safe; several processes may share the database.

    Args:
        location: Where it is.
        engine: An engine over it.
        on_close: Called once it is closed.
        is_snapshot: It is a copy of a database that cannot be written, so writing is refused.
    """

    def __init__(
        self, location: StateLocation, engine: Engine, *, on_close: Callable[[], None] | None = None, is_snapshot: bool = False
    ) -> None:
        self.location = location
        self._engine, self._on_close, self._is_snapshot = engine, on_close, is_snapshot

    @property
    def engine(self) -> Engine:
        """For what is done outside transactions."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection inside one read transaction: all its answers are of one moment.

        Raises:
            UnavailableError, IntegrityError: See `translated_errors`.
        """
        options: dict[str, Any] = {_READING: True}
        if not self.location.is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            translated_errors(self.location),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection inside one write transaction: committed completely at the end, or not at all.

        Raises:
            UnavailableError, IntegrityError: See `translated_errors`.
        """
        if self._is_snapshot:
            raise read_only_error(self.location)
        with translated_errors(self.location), self._engine.begin() as connection:
            yield connection

    def serialise(self, connection: Connection, name: str) -> None:
        """Let only one write transaction at a time past this line for this `name`; SQLite has only one at a time anyway."""
        if not self.location.is_sqlite:
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(lock_number(name))))

    def close(self) -> None:
        """Release connections. Calling it twice is fine."""
        self._engine.dispose()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()


def lock_number(name: str) -> int:
    """The number of PostgreSQL's advisory lock for `name`: 63 bits, since all applications of a database share them."""
    return int.from_bytes(hashlib.blake2b(f"bedplate {name}".encode(), digest_size=8).digest()) >> 1


def make_engine(location: StateLocation) -> Engine:
    """An engine over the database at `location`; connects when it is first used.

    Raises:
        UnavailableError: Its driver is not installed.
    """
    with translated_errors(location):
        if not location.is_sqlite:
            # a session that is idle between two events may have been cut since: pre-ping replaces it
            arguments: dict[str, object] = {
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s",
            }
            return sqlalchemy.create_engine(location.url, connect_args=arguments, pool_pre_ping=True, json_serializer=json_text)
        engine = sqlalchemy.create_engine(location.url, json_serializer=json_text)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    for pragma in (f"busy_timeout={LOCK_TIMEOUT_S * 1000}", "foreign_keys=on", "synchronous=full"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
