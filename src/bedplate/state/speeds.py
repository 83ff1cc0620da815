"""What jobs achieved, by kind of job and model of device: what a scheduler's table of speeds is corrected by."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import speeds
from bedplate.state.job_records import SpeedRecord


class SpeedStore:
    """The table of speeds; `JobStore.change` writes it, so that an attempt counts once. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[SpeedRecord, ...]:
        """Everything that was achieved, by kind and model."""
        with self._database.reading() as connection:
            rows = connection.execute(select(speeds).order_by(speeds.c.kind, speeds.c.model)).mappings()
            return tuple(record_from(SpeedRecord, row) for row in rows)


def set_speeds(connection: Connection, records: Iterable[SpeedRecord]) -> None:
    """Put these in the place of what was there for their kinds and models, in the transaction of `connection`."""
    for record in records:
        connection.execute(delete(speeds).where(speeds.c.kind == record.kind, speeds.c.model == record.model))
        values = {"kind": record.kind, "model": record.model, "samples": record.samples, "mean_log": record.mean_log}
        connection.execute(insert(speeds).values(values))
