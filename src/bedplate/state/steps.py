"""Steps of runs: what each gave, and how it stands.

What belongs together is committed together: a step's result, its measurements and its status are one transaction, so a
runner that is killed at any moment leaves a step either done with everything it gave, or not done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select, update

from bedplate.core.clock import Clock
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Measurement
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import steps
from bedplate.state.exclusions import delete_exclusions
from bedplate.state.measurements import replace_measurements
from bedplate.state.records import Status, StepRecord


class StepStore:
    """The table of steps. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def of_run(self, run_id: str) -> tuple[StepRecord, ...]:
        """Steps of a run, in the order of the run."""
        return self.of_runs((run_id,))[run_id]

    def of_runs(self, run_ids: Sequence[str]) -> Mapping[str, tuple[StepRecord, ...]]:
        """Steps of several runs by run, each in the order of its run; one query."""
        found: dict[str, list[StepRecord]] = {run_id: [] for run_id in run_ids}
        query = select(steps).where(steps.c.run_id.in_(found)).order_by(steps.c.run_id, steps.c.position)
        with self._database.reading() as connection:
            for row in connection.execute(query).mappings():
                found[row["run_id"]].append(_one(row))
        return {run_id: tuple(records) for run_id, records in found.items()}

    def start(self, run_id: str, name: str) -> None:
        """The step is running."""
        self._update(
            run_id,
            name,
            status=Status.RUNNING.value,
            attempts=steps.c.attempts + 1,
            started_at_s=self._clock.now(),
            progress=None,
        )

    def finish(self, run_id: str, name: str, *, seconds: float, result: JsonObject, measured: Sequence[Measurement]) -> None:
        """The step is done, with everything it gave; one transaction."""
        values = {"status": Status.DONE.value, "seconds": seconds, "result": result, "error": None, "progress": None}
        with self._database.writing() as connection:
            connection.execute(update(steps).where(_is(run_id, name)).values(values))
            replace_measurements(connection, run_id, name, measured)

    def fail(self, run_id: str, name: str, status: Status, *, seconds: float, error: JsonObject | None) -> None:
        """The step failed or was cancelled."""
        self._update(run_id, name, status=status.value, seconds=seconds, error=error, progress=None)

    def forget(self, run_id: str, name: str) -> None:
        """The step waits again, as if it had never run: its result is gone from disk."""
        values = {"status": Status.WAITING.value, "seconds": None, "result": None, "error": None}
        with self._database.writing() as connection:
            connection.execute(update(steps).where(_is(run_id, name)).values(values))
            replace_measurements(connection, run_id, name, ())
            delete_exclusions(connection, run_id, name)

    def set_progress(self, run_id: str, name: str, progress: JsonObject) -> None:
        """How far the running step is, for `ps`."""
        self._update(run_id, name, progress=progress)

    def _update(self, run_id: str, name: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(steps).where(_is(run_id, name)).values(**values))


def waiting_rows(run_id: str, step_uses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of a new run's steps, to be inserted with the run."""
    return [
        {"run_id": run_id, "name": name, "position": position, "use": use, "status": Status.WAITING.value, "attempts": 0}
        for position, (name, use) in enumerate(step_uses.items())
    ]


def reset_unfinished(connection: Connection, run_id: str) -> None:
    """What is not done waits again, in the transaction of the new attempt."""
    unfinished = and_(steps.c.run_id == run_id, steps.c.status != Status.DONE.value)
    connection.execute(update(steps).where(unfinished).values(status=Status.WAITING.value, progress=None, error=None))


def _is(run_id: str, name: str) -> ColumnElement[bool]:
    return and_(steps.c.run_id == run_id, steps.c.name == name)


def _one(row: RowMapping) -> StepRecord:
    return record_from(StepRecord, row, status=Status(row["status"]))
