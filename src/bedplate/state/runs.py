"""Runs: which there are, and how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, desc, insert, select, tuple_, update

from bedplate.core.clock import Clock
from bedplate.core.json import JsonObject
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from, storable
from bedplate.state.database.tables import last_started_at_s, runs, steps
from bedplate.state.records import RunRecord, Status
from bedplate.state.steps import reset_unfinished, waiting_rows

_ID_LENGTHS = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a run is made of."""

    key: str
    """Digest of its content, inputs and the pipeline's format."""
    name: str
    file: str
    document: JsonObject
    engine: str
    version: str
    """Of the bedplate that starts it; for people."""
    step_uses: Mapping[str, str]
    """Use case by step name, in the order of the run."""


class RunStore:
    """The table of runs. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def claim(self, wanted: NewRun, *, new: bool) -> RunRecord:
        """The newest run of the key, or a fresh one with all its steps waiting: with `new`, or when there is none.

        The id is the name, the key's head and, from the second on, a number.
        """
        with self._database.writing() as connection:
            self._database.serialise(connection, f"claim {wanted.name}-{wanted.key[:8]}")
            found = _latest(connection, wanted.key)
            if found is not None and not new:
                return found
            generation = 1 if found is None else found.generation + 1
            run_id = _free_id(connection, wanted, generation)
            row = {
                "id": run_id,
                "key": wanted.key,
                "generation": generation,
                "name": wanted.name,
                "file": storable(wanted.file),
                "document": wanted.document,
                "engine": wanted.engine,
                "version": wanted.version,
                "status": Status.WAITING.value,
                "created_at_s": self._clock.now(),
            }
            connection.execute(insert(runs).values(row))
            connection.execute(insert(steps), waiting_rows(run_id, wanted.step_uses))
            return _one(connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one())

    def get(self, run_id: str) -> RunRecord | None:
        """The run with this id."""
        return next(iter(self._records(select(runs).where(runs.c.id == run_id))), None)

    def latest(self, key: str) -> RunRecord | None:
        """The newest run of this key."""
        with self._database.reading() as connection:
            return _latest(connection, key)

    def page(self, limit: int, before: RunRecord | None = None) -> tuple[RunRecord, ...]:
        """At most `limit` runs, the one that was started last first; with `before`, those that come after it in that order."""
        query = select(runs).order_by(desc(last_started_at_s), desc(runs.c.id)).limit(limit)
        if before is not None:
            place = before.started_at_s if before.started_at_s is not None else before.created_at_s
            query = query.where(tuple_(last_started_at_s, runs.c.id) < (place, before.id))
        return self._records(query)

    def by_ids(self, run_ids: tuple[str, ...]) -> tuple[RunRecord, ...]:
        """The runs with these ids, in no order."""
        return self._records(select(runs).where(runs.c.id.in_(run_ids))) if run_ids else ()

    def named(self, name: str) -> RunRecord | None:
        """The run of this name that was started last."""
        query = select(runs).where(runs.c.name == name).order_by(desc(last_started_at_s), desc(runs.c.id)).limit(1)
        return next(iter(self._records(query)), None)

    def starting_with(self, prefix: str, limit: int) -> tuple[RunRecord, ...]:
        """At most `limit` runs whose ids begin with `prefix`, by id."""
        return self._records(select(runs).where(runs.c.id.startswith(prefix, autoescape=True)).order_by(runs.c.id).limit(limit))

    def start_attempt(self, run_id: str, engine: str, holder: JsonObject | None = None) -> int:
        """The run is running (again); what an earlier attempt left unfinished waits again. Returns the attempt's number.

        `holder` says which process runs it; see `app/pipeline/run/process.py`.
        """
        with self._database.writing() as connection:
            attempt: int = connection.execute(select(runs.c.attempt).where(runs.c.id == run_id)).scalar_one() + 1
            values = {
                "status": Status.RUNNING.value,
                "attempt": attempt,
                "engine": engine,
                "holder": holder,
                "started_at_s": self._clock.now(),
                "ended_at_s": None,
                "error": None,
            }
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))
            reset_unfinished(connection, run_id)
        return attempt

    def finish(self, run_id: str, status: Status, error: JsonObject | None, *, attempt: int | None = None) -> None:
        """The attempt is over; with `attempt`, only if no later one has begun."""
        query = update(runs).where(runs.c.id == run_id)
        query = query if attempt is None else query.where(runs.c.attempt == attempt)
        with self._database.writing() as connection:
            connection.execute(query.values(status=status.value, ended_at_s=self._clock.now(), error=error))

    def request_cancel(self, run_id: str) -> None:
        """Ask the attempt that runs now to end; a later attempt is not concerned."""
        self._update(run_id, cancel_attempt=runs.c.attempt)

    def is_cancel_requested(self, run_id: str, attempt: int) -> bool:
        """Whether somebody asked this attempt to end."""
        query = select(runs.c.id).where(and_(runs.c.id == run_id, runs.c.cancel_attempt == attempt))
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _update(self, run_id: str, **values: object) -> None:
        with self._database.writing() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(**values))

    def _records(self, query: Select[tuple[object, ...]]) -> tuple[RunRecord, ...]:
        with self._database.reading() as connection:
            return tuple(_one(row) for row in connection.execute(query).mappings())


def _latest(connection: Connection, key: str) -> RunRecord | None:
    query = select(runs).where(runs.c.key == key).order_by(desc(runs.c.generation)).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _one(row)


def _free_id(connection: Connection, wanted: NewRun, generation: int) -> str:
    """The key's head is short for people; two keys of a name may share it, and then the second shows more."""
    ending = f"-{generation}" if generation > 1 else ""
    candidates = [f"{wanted.name}-{wanted.key[:length]}{ending}" for length in _ID_LENGTHS]
    taken = set(connection.scalars(select(runs.c.id).where(runs.c.id.in_(candidates))))
    return next(run_id for run_id in candidates if run_id not in taken)


def _one(row: object) -> RunRecord:
    return record_from(RunRecord, row, status=Status(row["status"]))  # type: ignore[arg-type,index]
