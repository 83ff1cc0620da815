"""Gangs that steps submitted: where their logs are."""

from __future__ import annotations

from sqlalchemy import insert, select

from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import gangs
from bedplate.state.records import GangRecord


class GangStore:
    """The table of gangs. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run_id: str, gang: GangRecord) -> None:
        """A step submitted a gang."""
        row = {"run_id": run_id, "step": gang.step, "attempt": gang.attempt, "id": gang.id, "num_tasks": gang.num_tasks}
        with self._database.writing() as connection:
            connection.execute(insert(gangs).values(row))

    def of_run(self, run_id: str, step: str | None = None) -> tuple[GangRecord, ...]:
        """Gangs of a run, or of one step, in the order of submission."""
        query = select(gangs).where(gangs.c.run_id == run_id).order_by(gangs.c.number)
        if step is not None:
            query = query.where(gangs.c.step == step)
        with self._database.reading() as connection:
            return tuple(record_from(GangRecord, row) for row in connection.execute(query).mappings())
