"""Nodes that get no new work, because somebody said so."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from bedplate.core.clock import Clock
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from, storable
from bedplate.state.database.tables import drains
from bedplate.state.job_records import DrainRecord


class DrainStore:
    """The table of drained nodes. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def all(self) -> tuple[DrainRecord, ...]:
        """Every drained node, by id; also one that is not there at the moment."""
        with self._database.reading() as connection:
            rows = connection.execute(select(drains).order_by(drains.c.node_id)).mappings()
            return tuple(record_from(DrainRecord, row) for row in rows)

    def add(self, node_id: str, reason: str, by: str) -> None:
        """Place nothing new on a node; the newest reason is kept."""
        row = {"node_id": node_id, "reason": storable(reason), "by": storable(by), "at_s": self._clock.now()}
        with self._database.writing() as connection:
            self._database.serialise(connection, "drains")
            connection.execute(delete(drains).where(drains.c.node_id == node_id))
            connection.execute(insert(drains).values(row))

    def remove(self, node_id: str) -> bool:
        """Use a node again; False where it was not drained."""
        with self._database.writing() as connection:
            return connection.execute(delete(drains).where(drains.c.node_id == node_id)).rowcount == 1
