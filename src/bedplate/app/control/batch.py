"""What one pass of the scheduler writes, and what it does once that is written.

Everything is durable before anything is done: a service that is killed in between finds, when it comes again, jobs that are to
be started or ended, and does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bedplate.core.events.event import Subject, SubjectKind
from bedplate.core.events.kinds import make_event
from bedplate.state.events import event_row
from bedplate.state.job_records import SpeedRecord
from bedplate.state.jobs import JobChange
from bedplate.state.store import StateStore


@dataclass(slots=True, kw_only=True)
class Batch:
    """Made anew for each pass."""

    now_s: float
    launches: list[str] = field(default_factory=list)
    """Jobs whose process is to be started."""
    asked: list[str] = field(default_factory=list)
    """Jobs whose process is to be asked to end."""
    killed: list[str] = field(default_factory=list)
    """Jobs whose process had its time."""
    speeds: dict[tuple[str, str], SpeedRecord] = field(default_factory=dict)
    """What jobs achieved, as it is now, by kind and model."""
    _changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self._changes or self._events or self.speeds)

    def change(self, job_id: str, **values: Any) -> None:
        """New values of a job's columns."""
        self._changes.setdefault(job_id, {}).update(values)

    def note_job(self, job_id: str, facts: object, message: str, run_id: str | None = None) -> None:
        """Something happened to a job."""
        self._note(Subject(kind=SubjectKind.JOB, id=job_id), facts, message, run_id)

    def note_node(self, node_id: str, facts: object, message: str) -> None:
        """Something happened to a node."""
        self._note(Subject(kind=SubjectKind.NODE, id=node_id), facts, message, None)

    def note_service(self, facts: object, message: str) -> None:
        """Something happened to the scheduler itself."""
        self._note(Subject(kind=SubjectKind.SERVICE, id="scheduler"), facts, message, None)

    def commit(self, state: StateStore) -> None:
        """Write all of it in one transaction.

        Raises:
            UnavailableError: The state cannot be written; nothing of it is.
        """
        if not self.is_empty:
            changes = [JobChange(job_id=key, values=values) for key, values in self._changes.items()]
            state.jobs.change(changes, self._events, tuple(self.speeds.values()))

    def _note(self, subject: Subject, facts: object, message: str, run_id: str | None) -> None:
        event = make_event(facts, at_s=self.now_s, message=message, subject=subject, source="scheduler")
        self._events.append(event_row(event, run_id))
