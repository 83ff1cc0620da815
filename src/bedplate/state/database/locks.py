"""One runner per run across machines: a lock in the database, which the server releases when its holder's session ends.

Only PostgreSQL is shared between machines that share no files; the runs of an SQLite database are locked by a file in
their directory alone, so there these locks do nothing. A session can end while its run is under way (the server restarts,
a connection is cut): the holder asks for the lock again from time to time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import Connection, exc

from bedplate.state.database.connections import Database, lock_number
from bedplate.state.database.driver_errors import translated_errors

_HELD = sqlalchemy.text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class RunLock:
    """The lock of one run. One thread at a time."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database, self._number = database, _number(run_id)
        self._session: Connection | None = None

    def take(self) -> bool:
        """Hold it, also where it is held already or was lost with its session; False where another session has it.

        Raises:
            UnavailableError: The server cannot be reached; ask again later.
        """
        if self._database.location.is_sqlite:
            return True
        if self._session is not None and self._is_alive(self._session):
            return True
        with translated_errors(self._database.location):
            session = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if session.scalar(sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(self._number))):
                self._session = session
                return True
            session.close()
            return False

    def give_back(self) -> None:
        """Hold it no longer. Calling it twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(exc.DBAPIError):  # the session is gone, and with it the lock
                session.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(self._number)))
            session.close()

    def _is_alive(self, session: Connection) -> bool:
        try:
            session.execute(sqlalchemy.text("SELECT 1"))
        except exc.DBAPIError:
            session.invalidate()
            session.close()
            self._session = None
            return False
        return True


class RunLocks:
    """Locks on runs, by their ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def hold(self, run_id: str) -> Iterator[RunLock | None]:
        """Hold the lock of a run while inside; None where another session has it."""
        lock = RunLock(self._database, run_id)
        try:
            yield lock if lock.take() else None
        finally:
            lock.give_back()

    def held(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of `run_ids` that some session holds; one query."""
        by_number = {_number(run_id): run_id for run_id in run_ids}
        if self._database.location.is_sqlite or not by_number:
            return frozenset()
        with self._database.reading() as connection:
            return frozenset(by_number[number] for number in connection.scalars(_HELD) if number in by_number)


def _number(run_id: str) -> int:
    return lock_number(f"run {run_id}")
