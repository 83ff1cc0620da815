"""What can be asked of the service, by a caller who showed a token: each method checks what that caller may do.

The HTTP layer above it only reads requests and writes answers; a console would call the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.jobs import JobCalls
from bedplate.app.control.calls.nodes import NodeCalls
from bedplate.app.control.calls.quotas import QuotaCalls
from bedplate.app.control.calls.submission import Submitter
from bedplate.app.control.calls.tokens import token_digest
from bedplate.app.control.calls.users import UserCalls
from bedplate.app.control.scheduling.controller import Controller
from bedplate.core.errors import UsageError
from bedplate.core.events.event import Subject, SubjectKind
from bedplate.state.records import EventRecord
from bedplate.state.store import StateStore

MAX_EVENTS = 1_000
"""In one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlApi:
    """The calls of one service. Thread-safe."""

    state: StateStore
    jobs: JobCalls
    nodes: NodeCalls
    quotas: QuotaCalls
    users: UserCalls

    @classmethod
    def of(cls, state: StateStore, controller: Controller, submitter: Submitter, wake: Callable[[], None]) -> ControlApi:
        """All calls over one state; `wake` is called when something was changed that the scheduler should see."""
        return cls(
            state=state,
            jobs=JobCalls(state=state, controller=controller, submitter=submitter, wake=wake),
            nodes=NodeCalls(state=state, controller=controller, wake=wake),
            quotas=QuotaCalls(state=state, controller=controller, wake=wake),
            users=UserCalls(state=state),
        )

    def caller(self, token: str) -> Caller | None:
        """Whose token that is; None: nobody's."""
        user = self.state.users.with_token(token_digest(token))
        return None if user is None else Caller.of(user)

    def events(self, caller: Caller, after: int, job_id: str | None, kind: str | None, limit: int) -> tuple[EventRecord, ...]:
        """Events in order: about one job that the caller may see; or, for operators and admins, about anything."""
        if job_id is not None:
            caller.check_sees(self.state.jobs.get(job_id), job_id)
        else:
            caller.check_role("see the events of all jobs", Role.ADMIN, Role.OPERATOR)
        if not 1 <= limit <= MAX_EVENTS:
            raise UsageError("no such number of events", seen=limit, expected=f"1 to {MAX_EVENTS}")
        subject = None if job_id is None else Subject(kind=SubjectKind.JOB, id=job_id)
        return self.state.events.after(after, subject=subject, kind=kind, limit=limit)
