"""Samples of time series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from bedplate.core.events.event import Subject
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import metrics
from bedplate.state.records import MetricRecord

PAGE = 10_000
"""Samples that one call reads where nothing else is asked for."""


class MetricStore:
    """The table of metric samples. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run_id: str, name: str, *, since_s: float = float("-inf"), limit: int = PAGE) -> tuple[MetricRecord, ...]:
        """Samples of one series in a run from `since_s` on (seconds since the epoch), in time order."""
        return self._read(metrics.c.run_id == run_id, name, since_s, limit)

    def of_subject(
        self, subject: Subject, name: str, *, since_s: float = float("-inf"), limit: int = PAGE
    ) -> tuple[MetricRecord, ...]:
        """Samples of one series about `subject` from `since_s` on, in time order."""
        is_about = (metrics.c.subject_kind == subject.kind.value) & (metrics.c.subject_id == subject.id)
        return self._read(is_about, name, since_s, limit)

    def _read(self, condition: Any, name: str, since_s: float, limit: int) -> tuple[MetricRecord, ...]:
        query = select(metrics).where(condition, metrics.c.name == name)
        if since_s > float("-inf"):
            query = query.where(metrics.c.at_s >= since_s)
        query = query.order_by(metrics.c.at_s, metrics.c.number).limit(limit)
        with self._database.reading() as connection:
            return tuple(record_from(MetricRecord, row) for row in connection.execute(query).mappings())


def insert_samples(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows, in the transaction of `connection`."""
    if rows:
        connection.execute(insert(metrics), list(rows))
