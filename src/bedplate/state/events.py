"""Events: of runs, steps, nodes, devices, links and services, in the order in which they were stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from bedplate.core.events.event import Event, Subject, SubjectKind
from bedplate.core.json import plain
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from, storable
from bedplate.state.database.tables import events
from bedplate.state.records import EventRecord

PAGE = 1_000
"""Events that one call reads where nothing else is asked for."""


class EventStore:
    """The table of events. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(
        self,
        number: int = 0,
        *,
        run_id: str | None = None,
        subject: Subject | None = None,
        kind: str | None = None,
        limit: int = PAGE,
    ) -> tuple[EventRecord, ...]:
        """The next `limit` events with a number above `number`, in order; the last one's number is where to continue.

        Args:
            number: What the reader has seen; 0: nothing.
            run_id: Only events in this run.
            subject: Only events about it; with an empty id, about everything of its kind.
            kind: Only this kind, or all below it: `task` for `task.exited`.
            limit: Events at most.
        """
        query = select(events).where(events.c.number > number).order_by(events.c.number).limit(limit)
        if run_id is not None:
            query = query.where(events.c.run_id == run_id)
        if subject is not None:
            query = query.where(events.c.subject_kind == subject.kind.value)
            query = query.where(events.c.subject_id == subject.id) if subject.id else query
        if kind:
            query = query.where(or_(events.c.kind == kind, events.c.kind.startswith(f"{kind}.", autoescape=True)))
        with self._database.reading() as connection:
            return tuple(_one(row) for row in connection.execute(query).mappings())


def event_row(event: Event, run_id: str | None = None) -> dict[str, Any]:
    """A row of the table, for an event that has a subject of its own."""
    assert event.subject is not None
    return {
        "subject_kind": event.subject.kind.value,
        "subject_id": storable(event.subject.id),
        "run_id": run_id,
        "step": "",
        "kind": event.kind,
        "at_s": event.at_s,
        "severity": event.severity.value,
        "source": event.source,
        "message": storable(event.message),
        "attributes": plain(event.attributes),
    }


def insert_events(database: Database, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows in order, in the transaction of `connection`.

    A reader continues after the highest number it saw, so numbers must become visible in order: in PostgreSQL, which
    numbers rows before they are committed, one writer waits for the other's commit.
    """
    if rows:
        database.serialise(connection, "events")
        connection.execute(insert(events), list(rows))


def _one(row: Any) -> EventRecord:
    return record_from(EventRecord, row, subject=Subject(kind=SubjectKind(row["subject_kind"]), id=row["subject_id"]))
