"""The schema of the state: whose a database is, and bringing it up to date with Alembic.

A database is ours when it has the version table (in SQLite also our application id), or exactly the tables of bedplate
before that table existed. An empty one becomes ours. Any other is left as it is.

The upgrade is one transaction under the write lock, so two processes that open an old state at the same time
upgrade it once, and one that is killed in between leaves it as it was.
"""

from __future__ import annotations

import enum
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection

from bedplate.core.errors import IntegrityError
from bedplate.state.database.connections import Database
from bedplate.state.database.driver_errors import translated_errors

HEAD = "0004"
"""The newest revision in `migrations/versions`; a test compares them, so that opening need not load Alembic."""
VERSION_TABLE = "bedplate_version"
APPLICATION_ID = 0x62706C74
"""`bplt`, in the header of our SQLite files; see https://www.sqlite.org/pragma.html#pragma_application_id."""
_BEFORE_ALEMBIC = "0001"
_TABLES_BEFORE_ALEMBIC = frozenset(("schema", "runs", "steps", "measurements", "gangs", "exclusions", "events", "metrics"))


class _Found(enum.Enum):
    EMPTY = enum.auto()
    OURS = enum.auto()
    BEFORE_ALEMBIC = enum.auto()
    FOREIGN = enum.auto()


def bring_up_to_date(database: Database, *, create: bool) -> bool:
    """Give the database today's tables. False: it is empty, and `create` does not allow to change that.

    Raises:
        IntegrityError: It is not a state, or a newer bedplate's.
    """
    with database.reading() as connection:
        found, revision = _look(connection)
        _refuse_foreign(database, found, revision)
    if revision == HEAD:
        return True
    if found is _Found.EMPTY and not create:
        return False
    if found is _Found.EMPTY and database.location.is_sqlite:
        _choose_write_ahead_log(database)
    with database.writing() as connection:
        database.serialise(connection, "schema")
        found, revision = _look(connection)  # another process may have been here since
        _refuse_foreign(database, found, revision)
        if revision != HEAD:
            _upgrade(connection, stamp=_BEFORE_ALEMBIC if found is _Found.BEFORE_ALEMBIC else None)
    return True


def _look(connection: Connection) -> tuple[_Found, str | None]:
    names = set(sqlalchemy.inspect(connection).get_table_names())
    is_sqlite = connection.dialect.name == "sqlite"
    application_id = connection.exec_driver_sql("PRAGMA application_id").scalar() if is_sqlite else None
    if VERSION_TABLE in names and application_id in (APPLICATION_ID, None):
        revisions = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
        return _Found.OURS, revisions[0] if len(revisions) == 1 else None
    if names == _TABLES_BEFORE_ALEMBIC and application_id in (0, None):
        version = connection.exec_driver_sql("SELECT version FROM schema").scalar_one_or_none()
        return (_Found.BEFORE_ALEMBIC if version == 1 else _Found.FOREIGN), None
    if names or application_id not in (0, None):
        return _Found.FOREIGN, None
    return _Found.EMPTY, None


def _refuse_foreign(database: Database, found: _Found, revision: str | None) -> None:
    if found is _Found.FOREIGN:
        raise IntegrityError(
            "this database is not bedplate's",
            seen=database.location,
            expected="an empty database, or one that bedplate made; nothing was changed in this one",
            next_step="choose another with --state, in PostgreSQL a database (or schema) of its own",
        )
    if found is _Found.OURS and revision is None:
        raise IntegrityError(
            "the state does not say its version: it is damaged, or was edited",
            seen=f"{database.location}: not one row in the table {VERSION_TABLE}",
            expected="one row, with the version of the tables; nothing was changed",
            next_step="restore a copy of it, or choose another place with --state FOLDER",
        )
    if found is _Found.OURS and revision != HEAD and revision not in _known_revisions():
        raise IntegrityError(
            "the state was written by a newer bedplate",
            seen=f"{database.location}: revision {revision}",
            expected=f"revision {HEAD} or older",
            next_step="use that version, or choose another place with --state FOLDER",
        )


def _known_revisions() -> frozenset[str]:
    from alembic.script import ScriptDirectory

    return frozenset(script.revision for script in ScriptDirectory(str(_migrations_folder())).walk_revisions())


def _upgrade(connection: Connection, *, stamp: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if stamp is not None:
        command.stamp(config, stamp)
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _migrations_folder() -> Path:
    return Path(__file__).with_name("migrations")


def _choose_write_ahead_log(database: Database) -> None:
    with translated_errors(database.location):
        connection = database.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode=wal")
        finally:
            connection.close()
