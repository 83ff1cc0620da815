"""Cores that steps found bad, kept so that a resumed run leaves them out too."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from, storable
from bedplate.state.database.tables import exclusions
from bedplate.state.records import ExclusionRecord


class ExclusionStore:
    """The table of exclusions. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run_id: str, exclusion: ExclusionRecord) -> None:
        """A step left cores out."""
        row = {
            "run_id": run_id,
            "step": exclusion.step,
            "node_id": exclusion.node_id,
            "cores": list(exclusion.cores),
            "reason": storable(exclusion.reason),
        }
        with self._database.writing() as connection:
            connection.execute(insert(exclusions).values(row))

    def of_run(self, run_id: str) -> tuple[ExclusionRecord, ...]:
        """What the steps of a run left out."""
        query = select(exclusions).where(exclusions.c.run_id == run_id).order_by(exclusions.c.number)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings()
            return tuple(record_from(ExclusionRecord, row, cores=tuple(row["cores"])) for row in rows)


def delete_exclusions(connection: Connection, run_id: str, step: str) -> None:
    """Forget what a step left out, in the transaction of `connection`."""
    connection.execute(delete(exclusions).where(exclusions.c.run_id == run_id, exclusions.c.step == step))
