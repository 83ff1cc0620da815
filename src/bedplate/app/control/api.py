"""What can be asked of the service, by a caller who showed a token: each method checks what that caller may do.

The HTTP layer above it only reads requests and writes answers; a console would call the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.access import Caller, Role
from bedplate.app.control.controller import Controller
from bedplate.app.control.explain import Forecast
from bedplate.app.control.paging import Page, PageRequest, page_by_name, page_of
from bedplate.app.control.submission import Submission, Submitter
from bedplate.app.control.tokens import check_tenant, check_user_name, new_token, token_digest
from bedplate.app.control.views import NodeView, job_view, node_views, quota_view, user_view, why_of
from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.events.event import Event, Subject, SubjectKind
from bedplate.core.events.kinds import NodeDrained, NodeUndrained, make_event
from bedplate.core.json import JsonObject
from bedplate.state.events import event_row
from bedplate.state.job_records import JobRecord, TenantRecord, UserRecord
from bedplate.state.jobs import JobFilter, under
from bedplate.state.records import EventRecord
from bedplate.state.store import StateStore

_MAX_EVENTS = 1_000
_NODES = 8
"""Nodes of which it is said why each was rejected, where one job is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlApi:
    """The calls of one service. Thread-safe."""

    state: StateStore
    controller: Controller
    submitter: Submitter
    wake: Callable[[], None]
    """Called when something was changed that the scheduler should see."""

    def caller(self, token: str) -> Caller | None:
        """Whose token that is; None: nobody's."""
        user = self.state.users.with_token(token_digest(token))
        return None if user is None else Caller.of(user)

    def submit(self, caller: Caller, sent: Submission) -> tuple[JsonObject, bool]:
        """See `Submitter.submit`."""
        record, is_new = self.submitter.submit(caller, sent)
        return self._view(caller, record), is_new

    def forecast(self, caller: Caller, sent: Submission) -> Forecast:
        """See `Submitter.forecast`."""
        return self.submitter.forecast(caller, sent)

    def jobs(self, caller: Caller, wanted: JobFilter, page: PageRequest) -> Page[JsonObject]:
        """Jobs that the caller may see, in the order of submission (`oldest`) or its reverse (`newest`)."""
        order = page.ordered_by(("newest", "oldest"))
        after = page.after(order)
        if isinstance(after, str):
            raise UsageError("no such cursor", seen=after, expected="'next' of the page before")
        records = self.state.jobs.page(caller.filtered(wanted), order=order, after=after, limit=page.limit + 1)
        found = page_of(records, page, order, lambda record: record.number)
        return Page(items=self._views(caller, found.items), next=found.next)

    def counts(self, caller: Caller, wanted: JobFilter) -> JsonObject:
        """How many jobs of a list are in each phase."""
        return {phase.value: count for phase, count in self.state.jobs.count(caller.filtered(wanted)).items()}

    def job(self, caller: Caller, job_id: str) -> JsonObject:
        """One job.

        Raises:
            NotFoundError: There is none that the caller may see.
        """
        return self._view(caller, caller.check_sees(self.state.jobs.get(job_id), job_id))

    def cancel(self, caller: Caller, job_id: str) -> JsonObject:
        """Ask for the end of a job; one that has ended stays as it is.

        Raises:
            NotFoundError: There is none that the caller may see.
            ForbiddenError: The caller may see it, and not end it.
        """
        record = caller.check_sees(self.state.jobs.get(job_id), job_id)
        caller.check_cancels(record)
        self.state.jobs.request_cancel(job_id, caller.name)
        self.wake()
        return self.job(caller, job_id)

    def nodes(self, caller: Caller, state: str | None, page: PageRequest) -> Page[NodeView]:
        """Nodes by name; with `state`, only those that are `usable`, `drained` or `lost`."""
        with self.controller.book() as book:
            views = node_views(book, self.state.drains.all(), caller.sees)
        return page_by_name([view for view in views if state in (None, view.state)], page, lambda view: view.id)

    def drain(self, caller: Caller, node_id: str, reason: str) -> None:
        """Place nothing new on a node.

        Raises:
            NotFoundError: No such node.
        """
        caller.check_role("drain nodes", Role.ADMIN, Role.OPERATOR)
        with self.controller.book() as book:
            known = [node.id for node in book.cores.nodes]
        if node_id not in known:
            raise NotFoundError(f"there is no node '{node_id}'", expected=", ".join(known[:8]) or "no node is there")
        self.state.drains.add(node_id, reason, caller.name)
        self._note(node_id, NodeDrained(reason=reason, by=caller.name), f"drained by {caller.name}: {reason}")
        self.wake()

    def undrain(self, caller: Caller, node_id: str) -> None:
        """Use a node again.

        Raises:
            NotFoundError: It is not drained.
        """
        caller.check_role("undrain nodes", Role.ADMIN, Role.OPERATOR)
        if not self.state.drains.remove(node_id):
            raise NotFoundError(f"node '{node_id}' is not drained", next_step="'bedplate nodes' shows which are")
        self._note(node_id, NodeUndrained(by=caller.name), f"used again, says {caller.name}")
        self.wake()

    def quotas(self, caller: Caller, below: tuple[str, ...] | None, page: PageRequest) -> Page[JsonObject]:
        """Tenants by name, with what they may have and what they hold: all of them, or the caller's own and those below.

        With `below`, only these tenants and those below them.
        """
        with self.controller.book() as book:
            ledger = book.scheduler.ledger.tenants
            used = {name: {key: amount / 1000 for key, amount in ledger[name].used.items() if amount} for name in ledger}
            known = {name: TenantRecord(name=name) for name in used if name} | book.quotas
        known |= {tenant.name: tenant for tenant in self.state.tenants.all()}
        shown = [tenant for tenant in known.values() if caller.sees_all or under(tenant.name, caller.own_tenants)]
        shown = [tenant for tenant in shown if below is None or under(tenant.name, below)]
        found = page_by_name(shown, page, lambda tenant: tenant.name)
        return Page(items=tuple(quota_view(tenant, used.get(tenant.name, {})) for tenant in found.items), next=found.next)

    def unreadable_quotas(self) -> tuple[str, ...]:
        """Why stored quotas cannot be read, one text a tenant; these tenants are guaranteed nothing."""
        with self.controller.book() as book:
            return tuple(str(error) for error in book.unreadable.values())

    def set_quota(self, caller: Caller, tenant: TenantRecord) -> None:
        """Set what a tenant may have.

        Raises:
            UsageError: A negative amount, or no name of a tenant.
        """
        caller.check_role("set quotas", Role.ADMIN)
        check_tenant(tenant.name)
        _check_amounts(tenant)
        self.state.tenants.set(tenant)
        self.wake()

    def remove_quota(self, caller: Caller, name: str) -> None:
        """Let a tenant have only what it can borrow.

        Raises:
            NotFoundError: Nothing was set for it.
        """
        caller.check_role("remove quotas", Role.ADMIN)
        if not self.state.tenants.remove(name):
            raise NotFoundError(f"no quota is set for '{name}'", next_step="'bedplate quota' lists them")
        self.wake()

    def users(self, caller: Caller, role: str | None, page: PageRequest) -> Page[JsonObject]:
        """Users by name; with `role`, only those who have it."""
        caller.check_role("list users", Role.ADMIN)
        shown = [user for user in self.state.users.all() if role in (None, user.role)]
        found = page_by_name(shown, page, lambda user: user.name)
        return Page(items=tuple(map(user_view, found.items)), next=found.next)

    def add_user(self, caller: Caller, name: str, role: str, tenants: tuple[str, ...]) -> tuple[JsonObject, str]:
        """A new user, and the token, which is shown this once.

        Raises:
            UsageError: There is one of this name, or no such name, role or tenant.
        """
        caller.check_role("add users", Role.ADMIN)
        check_user_name(name)
        for tenant in tenants:
            check_tenant(tenant)
        if role not in [item.value for item in Role]:
            raise UsageError("no such role", seen=role, expected=", ".join(item.value for item in Role))
        token = new_token()
        user = self.state.users.add(name, role, tenants, token_digest(token))
        if user is None:
            raise UsageError(f"there is a user '{name}' already", expected="another name, or 'bedplate users token NAME'")
        return user_view(user), token

    def renew_token(self, caller: Caller, name: str) -> str:
        """Another token for a user, who may be the caller; the one before is no longer valid.

        Raises:
            NotFoundError: No such user.
        """
        if name != caller.name:
            caller.check_role("renew the tokens of others", Role.ADMIN)
        self._user(name)
        token = new_token()
        self.state.users.set_token(name, token_digest(token))
        return token

    def remove_user(self, caller: Caller, name: str) -> None:
        """Take a user's rights; the jobs go on.

        Raises:
            NotFoundError: No such user.
            UsageError: It is the caller: an admin is left that way.
        """
        caller.check_role("remove users", Role.ADMIN)
        if name == caller.name:
            raise UsageError(
                "nobody removes themselves", seen=name, expected="another user", next_step="let another admin do it"
            )
        self._user(name)
        self.state.users.remove(name)

    def events(self, caller: Caller, after: int, job_id: str | None, kind: str | None, limit: int) -> tuple[EventRecord, ...]:
        """Events in order: about one job that the caller may see; or, for operators and admins, about anything."""
        if job_id is not None:
            caller.check_sees(self.state.jobs.get(job_id), job_id)
        else:
            caller.check_role("see the events of all jobs", Role.ADMIN, Role.OPERATOR)
        if not 1 <= limit <= _MAX_EVENTS:
            raise UsageError("no such number of events", seen=limit, expected=f"1 to {_MAX_EVENTS}")
        subject = None if job_id is None else Subject(kind=SubjectKind.JOB, id=job_id)
        return self.state.events.after(after, subject=subject, kind=kind, limit=limit)

    def _user(self, name: str) -> UserRecord:
        user = self.state.users.get(name)
        if user is None:
            raise NotFoundError(f"there is no user '{name}'", next_step="'bedplate users' lists them")
        return user

    def _view(self, caller: Caller, record: JobRecord) -> JsonObject:
        return self._views(caller, (record,), _NODES)[0]

    def _views(self, caller: Caller, records: tuple[JobRecord, ...], num_nodes: int = 0) -> tuple[JsonObject, ...]:
        now_s = self.state.clock.now()
        with self.controller.book() as book:

            def may_see(job_id: str) -> bool:
                known = book.records.get(job_id) or self.state.jobs.get(job_id)
                return known is not None and caller.sees(known)

            return tuple(job_view(record, why_of(book, record, may_see, now_s, num_nodes)) for record in records)

    def _note(self, node_id: str, facts: object, message: str) -> None:
        subject = Subject(kind=SubjectKind.NODE, id=node_id)
        event: Event = make_event(facts, at_s=self.state.clock.now(), message=message, subject=subject, source="service")
        self.state.append([event_row(event)], [])


def _check_amounts(tenant: TenantRecord) -> None:
    amounts = [*tenant.guaranteed.values(), *tenant.limit.values()]
    if not all(0 <= amount < math.inf for amount in amounts) or not 0 < tenant.weight < math.inf:
        raise UsageError(
            "no such quota",
            seen=f"guaranteed {dict(tenant.guaranteed)}, limit {dict(tenant.limit)}, weight {tenant.weight}",
            expected="finite amounts of 0 or more, and a finite weight above 0",
        )
