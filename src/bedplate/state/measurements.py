"""Measurements of runs and their steps."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, select

from bedplate.core.json import Json
from bedplate.core.measurement import Measurement
from bedplate.state.database.connections import Database
from bedplate.state.database.tables import measurements, steps

_AFTER_ALL_STEPS = 1 << 30


class MeasurementStore:
    """The table of measurements. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run_id: str) -> tuple[Measurement, ...]:
        """Measurements of a run: by step in order, those of the run as such last."""
        place = func.coalesce(steps.c.position, _AFTER_ALL_STEPS)
        is_its_step = and_(steps.c.run_id == measurements.c.run_id, steps.c.name == measurements.c.step)
        query = (
            select(measurements.c.document)
            .select_from(measurements.outerjoin(steps, is_its_step))
            .where(measurements.c.run_id == run_id)
            .order_by(place, measurements.c.position)
        )
        with self._database.reading() as connection:
            return tuple(Measurement.from_json(document) for document in connection.execute(query).scalars())

    def replace_of_run(self, run_id: str, measured: Sequence[Measurement]) -> None:
        """What was measured of the run as such; replaces what was there."""
        with self._database.writing() as connection:
            replace_measurements(connection, run_id, "", measured)


def replace_measurements(connection: Connection, run_id: str, step: str, measured: Sequence[Measurement]) -> None:
    """Store `measured` for a step (empty: for the run) in place of what was there, in the transaction of `connection`."""
    connection.execute(delete(measurements).where(measurements.c.run_id == run_id, measurements.c.step == step))
    rows: list[dict[str, Json]] = [
        {"run_id": run_id, "step": step, "position": place, "id": item.id, "value": item.value, "document": item.as_json()}
        for place, item in enumerate(measured)
    ]
    if rows:
        connection.execute(insert(measurements), rows)
