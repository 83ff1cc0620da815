"""Who does what only one process may do, for messages: the lock itself is `state/database/locks.py`."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from bedplate.core.json import JsonObject
from bedplate.state.database.connections import Database
from bedplate.state.database.tables import services


class ServiceStore:
    """The table of services. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> JsonObject | None:
        """What the service said of itself that took this name last."""
        with self._database.reading() as connection:
            document: JsonObject | None = connection.scalar(select(services.c.document).where(services.c.name == name))
            return document

    def set(self, name: str, document: JsonObject) -> None:
        """Say who it is now."""
        with self._database.writing() as connection:
            self._database.serialise(connection, f"service {name}")
            connection.execute(delete(services).where(services.c.name == name))
            connection.execute(insert(services).values(name=name, document=document))
