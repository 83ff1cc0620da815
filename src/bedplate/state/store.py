"""The one owner of the state database: every row of a run is written and read here.

What belongs together is committed together: a step's result, its measurements and its status are one transaction, so a
runner that is killed at any moment leaves a step either done with everything it gave, or not done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, RowMapping, Table, and_, delete, desc, func, insert, select, update

from bedplate.core.json import Json, JsonObject
from bedplate.core.measurement import Measurement
from bedplate.state.database import open_database, reading, writing
from bedplate.state.records import (
    EventRecord,
    ExclusionRecord,
    GangRecord,
    MetricRecord,
    RunRecord,
    Status,
    StepRecord,
)
from bedplate.state.tables import events, exclusions, gangs, measurements, metrics, runs, steps

Record = TypeVar("Record")


class StateStore:
    """Runs, steps, events, metrics and measurements at one URL. Thread-safe; several processes may share it."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    @classmethod
    def open(cls, url: str) -> StateStore:
        """The state at `url`, made when it does not exist.

        Raises:
            UnavailableError: It cannot be opened, made or written (full disk, permissions).
            IntegrityError: What is there is not a state of this version.
        """
        engine = open_database(url, create=True)
        assert engine is not None
        return cls(engine, url)

    @classmethod
    def open_existing(cls, url: str) -> StateStore | None:
        """The state at `url`, or None when nothing was ever stored there; makes nothing."""
        engine = open_database(url, create=False)
        return None if engine is None else cls(engine, url)

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()

    def latest_run(self, key: str) -> RunRecord | None:
        """The newest run of this key."""
        with reading(self._engine, self.url) as connection:
            return _latest(connection, key)

    def claim_run(
        self,
        *,
        key: str,
        name: str,
        file: str,
        document: JsonObject,
        engine: str,
        version: str,
        step_uses: Mapping[str, str],
        new: bool,
    ) -> RunRecord:
        """The newest run of `key`, or a fresh one with all its steps waiting: with `new`, or when there is none.

        `step_uses` maps step names to uses, in order. The id is the name, the key's head and, from the second on, a number.
        """
        with writing(self._engine, self.url) as connection:
            found = _latest(connection, key)
            if found is not None and not new:
                return found
            generation = 1 if found is None else found.generation + 1
            run_id = f"{name}-{key[:8]}" + (f"-{generation}" if generation > 1 else "")
            row = {
                "id": run_id,
                "key": key,
                "generation": generation,
                "name": name,
                "file": file,
                "document": document,
                "engine": engine,
                "version": version,
                "status": Status.WAITING.value,
                "attempt": 0,
                "cancel_attempt": 0,
                "created_at_s": time.time(),
            }
            connection.execute(insert(runs).values(row))
            waiting = [
                {
                    "run_id": run_id,
                    "name": step,
                    "position": position,
                    "use": use,
                    "status": Status.WAITING.value,
                    "attempts": 0,
                }
                for position, (step, use) in enumerate(step_uses.items())
            ]
            connection.execute(insert(steps), waiting)
            return _run(connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one())

    def start_attempt(self, run_id: str, engine: str) -> int:
        """The run is running (again); what an earlier attempt left unfinished waits again. Returns the attempt's number."""
        with writing(self._engine, self.url) as connection:
            attempt: int = connection.execute(select(runs.c.attempt).where(runs.c.id == run_id)).scalar_one() + 1
            values = {"status": Status.RUNNING.value, "attempt": attempt, "engine": engine, "started_at_s": time.time()}
            connection.execute(update(runs).where(runs.c.id == run_id).values(**values, ended_at_s=None, error=None))
            unfinished = and_(steps.c.run_id == run_id, steps.c.status != Status.DONE.value)
            connection.execute(update(steps).where(unfinished).values(status=Status.WAITING.value, progress=None, error=None))
        return attempt

    def end_run(self, run_id: str, status: Status, error: JsonObject | None) -> None:
        """The attempt is over."""
        with writing(self._engine, self.url) as connection:
            values = {"status": status.value, "ended_at_s": time.time(), "error": error}
            connection.execute(update(runs).where(runs.c.id == run_id).values(**values))

    def measure_run(self, run_id: str, measured: Sequence[Measurement]) -> None:
        """What was measured of the run as a whole; replaces what was there."""
        with writing(self._engine, self.url) as connection:
            _replace_measurements(connection, run_id, "", measured)

    def start_step(self, run_id: str, name: str) -> None:
        """The step is running."""
        with writing(self._engine, self.url) as connection:
            connection.execute(
                update(steps)
                .where(_is_step(run_id, name))
                .values(status=Status.RUNNING.value, attempts=steps.c.attempts + 1, started_at_s=time.time(), progress=None)
            )

    def finish_step(
        self, run_id: str, name: str, *, seconds: float, result: JsonObject, measured: Sequence[Measurement]
    ) -> None:
        """The step is done, with everything it gave; one transaction."""
        with writing(self._engine, self.url) as connection:
            values = {"status": Status.DONE.value, "seconds": seconds, "result": result, "error": None, "progress": None}
            connection.execute(update(steps).where(_is_step(run_id, name)).values(**values))
            _replace_measurements(connection, run_id, name, measured)

    def fail_step(self, run_id: str, name: str, status: Status, *, seconds: float, error: JsonObject | None) -> None:
        """The step failed or was cancelled."""
        with writing(self._engine, self.url) as connection:
            values = {"status": status.value, "seconds": seconds, "error": error, "progress": None}
            connection.execute(update(steps).where(_is_step(run_id, name)).values(**values))

    def forget_step(self, run_id: str, name: str) -> None:
        """The step waits again, as if it had never run: its result is gone from disk."""
        with writing(self._engine, self.url) as connection:
            values = {"status": Status.WAITING.value, "seconds": None, "result": None, "error": None}
            connection.execute(update(steps).where(_is_step(run_id, name)).values(**values))
            _replace_measurements(connection, run_id, name, ())
            connection.execute(delete(exclusions).where(exclusions.c.run_id == run_id, exclusions.c.step == name))

    def set_progress(self, run_id: str, name: str, progress: JsonObject) -> None:
        """How far the running step is, for `ps`."""
        with writing(self._engine, self.url) as connection:
            connection.execute(update(steps).where(_is_step(run_id, name)).values(progress=progress))

    def request_cancel(self, run_id: str) -> None:
        """Ask the attempt that runs now to end; a later attempt is not concerned."""
        with writing(self._engine, self.url) as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_attempt=runs.c.attempt))

    def is_cancel_requested(self, run_id: str, attempt: int) -> bool:
        """Whether somebody asked this attempt to end."""
        with reading(self._engine, self.url) as connection:
            return connection.execute(select(runs.c.cancel_attempt).where(runs.c.id == run_id)).scalar() == attempt

    def note_gang(self, run_id: str, gang: GangRecord) -> None:
        """A step submitted a gang."""
        row = {"run_id": run_id, "step": gang.step, "attempt": gang.attempt, "id": gang.id, "num_tasks": gang.num_tasks}
        with writing(self._engine, self.url) as connection:
            connection.execute(insert(gangs).values(row))

    def note_exclusion(self, run_id: str, exclusion: ExclusionRecord) -> None:
        """A step left cores out."""
        row = {
            "run_id": run_id,
            "step": exclusion.step,
            "node_id": exclusion.node_id,
            "cores": list(exclusion.cores),
            "reason": exclusion.reason,
        }
        with writing(self._engine, self.url) as connection:
            connection.execute(insert(exclusions).values(row))

    def append(self, event_rows: Sequence[Mapping[str, Any]], metric_rows: Sequence[Mapping[str, Any]]) -> None:
        """Store events and samples, in order, in one transaction; the sink calls this."""
        with writing(self._engine, self.url) as connection:
            if event_rows:
                connection.execute(insert(events), list(event_rows))
            if metric_rows:
                connection.execute(insert(metrics), list(metric_rows))

    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, the one that was started last first."""
        order = desc(func.coalesce(runs.c.started_at_s, runs.c.created_at_s))
        with reading(self._engine, self.url) as connection:
            return tuple(_run(row) for row in connection.execute(select(runs).order_by(order)).mappings())

    def steps(self, run_id: str) -> tuple[StepRecord, ...]:
        """Steps of a run, in the order of the run."""
        with reading(self._engine, self.url) as connection:
            rows = connection.execute(select(steps).where(steps.c.run_id == run_id).order_by(steps.c.position)).mappings()
            return tuple(_record(StepRecord, row, status=Status(row["status"])) for row in rows)

    def measurements(self, run_id: str) -> tuple[Measurement, ...]:
        """Measurements of a run: by step in order, those of the run as a whole last."""
        place = func.coalesce(steps.c.position, 1 << 30)
        joined = measurements.outerjoin(
            steps, and_(steps.c.run_id == measurements.c.run_id, steps.c.name == measurements.c.step)
        )
        query = select(measurements.c.document).select_from(joined).where(measurements.c.run_id == run_id)
        with reading(self._engine, self.url) as connection:
            documents = connection.execute(query.order_by(place, measurements.c.position)).scalars()
            return tuple(Measurement.from_json(document) for document in documents)

    def gangs(self, run_id: str, step: str | None = None) -> tuple[GangRecord, ...]:
        """Gangs of a run, or of one step, in the order of submission."""
        query = select(gangs).where(gangs.c.run_id == run_id).order_by(gangs.c.number)
        with reading(self._engine, self.url) as connection:
            rows = connection.execute(query if step is None else query.where(gangs.c.step == step)).mappings()
            return tuple(_record(GangRecord, row) for row in rows)

    def exclusions(self, run_id: str) -> tuple[ExclusionRecord, ...]:
        """What the steps of a run left out."""
        query = select(exclusions).where(exclusions.c.run_id == run_id).order_by(exclusions.c.number)
        with reading(self._engine, self.url) as connection:
            rows = connection.execute(query).mappings()
            return tuple(_record(ExclusionRecord, row, cores=tuple(row["cores"])) for row in rows)

    def events(self, run_id: str, *, after: int = 0, kind: str | None = None, limit: int = 10_000) -> tuple[EventRecord, ...]:
        """Events of a run with a number above `after`; `kind` takes a whole kind or its head (`task` for `task.exited`)."""
        query = select(events).where(events.c.run_id == run_id, events.c.number > after)
        if kind:
            query = query.where((events.c.kind == kind) | events.c.kind.startswith(f"{kind}.", autoescape=True))
        with reading(self._engine, self.url) as connection:
            rows = connection.execute(query.order_by(events.c.number).limit(limit)).mappings()
            return tuple(_record(EventRecord, row) for row in rows)

    def metrics(self, run_id: str, name: str) -> tuple[MetricRecord, ...]:
        """Samples of one series of a run, in time order."""
        query = select(metrics).where(metrics.c.run_id == run_id, metrics.c.name == name).order_by(metrics.c.at_s)
        with reading(self._engine, self.url) as connection:
            return tuple(_record(MetricRecord, row) for row in connection.execute(query).mappings())


def _latest(connection: Connection, key: str) -> RunRecord | None:
    query = select(runs).where(runs.c.key == key).order_by(desc(runs.c.generation)).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _run(row)


def _is_step(run_id: str, name: str) -> Any:
    return and_(steps.c.run_id == run_id, steps.c.name == name)


def _replace_measurements(connection: Connection, run_id: str, step: str, measured: Sequence[Measurement]) -> None:
    _delete_of_step(connection, measurements, run_id, step)
    rows: list[dict[str, Json]] = [
        {"run_id": run_id, "step": step, "position": place, "id": item.id, "value": item.value, "document": item.as_json()}
        for place, item in enumerate(measured)
    ]
    if rows:
        connection.execute(insert(measurements), rows)


def _delete_of_step(connection: Connection, table: Table, run_id: str, step: str) -> None:
    connection.execute(delete(table).where(table.c.run_id == run_id, table.c.step == step))


def _run(row: RowMapping) -> RunRecord:
    return _record(RunRecord, row, status=Status(row["status"]))


def _record(cls: type[Record], row: RowMapping, **changed: Any) -> Record:
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    return cls(**{name: row[name] for name in names} | changed)
