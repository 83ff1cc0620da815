"""One runner a run across machines: a lock in the database, given back by the server when its holder's session ends.

Only PostgreSQL is shared between machines that share no files; the runs of an SQLite database are locked by a file in
their directory alone, so there these locks do nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import exc

from bedplate.state.database import Database, lock_number
from bedplate.state.driver_errors import translated_errors

_HELD = sqlalchemy.text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class RunLocks:
    """Locks on runs, by their ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def hold(self, run_id: str) -> Iterator[bool]:
        """Hold the lock of a run while inside; False where another session has it."""
        if self._database.location.is_sqlite:
            yield True
            return
        take = sqlalchemy.select(sqlalchemy.func.pg_try_advisory_lock(_number(run_id)))
        with translated_errors(self._database.location):
            connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            is_taken = bool(connection.scalar(take))
        try:
            yield is_taken
        finally:
            if is_taken:
                with contextlib.suppress(exc.DBAPIError):  # the session is gone, and with it the lock
                    connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_unlock(_number(run_id))))
            connection.close()

    def held(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Those of `run_ids` that some session holds; one query."""
        by_number = {_number(run_id): run_id for run_id in run_ids}
        if self._database.location.is_sqlite or not by_number:
            return frozenset()
        with self._database.reading() as connection:
            return frozenset(by_number[number] for number in connection.scalars(_HELD) if number in by_number)


def _number(run_id: str) -> int:
    return lock_number(f"run {run_id}")
