"""Submitting jobs, listing them, and asking for their end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.calls.access import Caller
from bedplate.app.control.calls.explain import Forecast
from bedplate.app.control.calls.paging import Page, PageRequest, page_of
from bedplate.app.control.calls.submission import Submission, Submitter
from bedplate.app.control.calls.views import job_view, models_of, why_of
from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.capacity import report_load
from bedplate.app.control.scheduling.controller import Controller
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject
from bedplate.state.job_records import JobRecord
from bedplate.state.jobs import JobFilter
from bedplate.state.store import StateStore

_NODES, _NODES_OF_A_ROW = 8, 2
"""Nodes of which it is said why each was rejected, where one job is asked for and in a list."""
_EXPLAIN_S = 1.0
"""How long a list may keep the scheduler with questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCalls:
    """Calls about jobs; what is not the caller's is not there for them."""

    state: StateStore
    controller: Controller
    submitter: Submitter
    wake: Callable[[], None]
    """Called when something was changed that the scheduler should see."""

    def submit(self, caller: Caller, sent: Submission) -> tuple[JsonObject, bool]:
        """See `Submitter.submit`."""
        record, is_new = self.submitter.submit(caller, sent)
        return self._view(caller, record), is_new

    def forecast(self, caller: Caller, sent: Submission) -> Forecast:
        """See `Submitter.forecast`."""
        return self.submitter.forecast(caller, sent)

    def page(self, caller: Caller, wanted: JobFilter, page: PageRequest, *, explain: bool = False) -> Page[JsonObject]:
        """Jobs that the caller may see, in the order of submission (`oldest`) or its reverse (`newest`).

        With `explain`, the scheduler is asked why each of them waits, for `_EXPLAIN_S` at most; the rest say what is known
        at once.
        """
        order = page.ordered_by(("newest", "oldest"))
        after = page.after(order)
        if isinstance(after, str):
            raise UsageError("no such cursor", seen=after, expected="'next' of the page before")
        records = self.state.jobs.page(caller.filtered(wanted), order=order, after=after, limit=page.limit + 1)
        found = page_of(records, page, order, lambda record: record.number)
        return Page(items=self._views(caller, found.items, explain=explain), next=found.next)

    def counts(self, caller: Caller, wanted: JobFilter) -> JsonObject:
        """How many jobs of a list are in each phase."""
        return {phase.value: count for phase, count in self.state.jobs.count(caller.filtered(wanted)).items()}

    def get(self, caller: Caller, job_id: str) -> JsonObject:
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
        return self.get(caller, job_id)

    def report_load(self, caller: Caller, job_id: str, value: float, at_s: float | None) -> None:
        """Take in the load of a service, as of now or of then.

        Raises:
            NotFoundError: There is no such job that the caller may see.
            ForbiddenError: The caller may see it, and not change it.
            UsageError: It is no service, it has ended, or there is no such load.
        """
        record = caller.check_sees(self.state.jobs.get(job_id), job_id)
        caller.check_cancels(record)
        report_load(self.state, record, value, at_s)

    def _view(self, caller: Caller, record: JobRecord) -> JsonObject:
        now_s = self.state.clock.now()
        with self.controller.book() as book:
            why = why_of(book, record, self._sees(caller, book), now_s, _NODES)
            return job_view(record, why, models_of(book, record, now_s))

    def _views(self, caller: Caller, records: tuple[JobRecord, ...], *, explain: bool) -> tuple[JsonObject, ...]:
        now_s, until_s = self.state.clock.now(), time.monotonic() + _EXPLAIN_S
        with self.controller.book() as book:
            may_see = self._sees(caller, book)

            def view(record: JobRecord) -> JsonObject:
                num_nodes = _NODES_OF_A_ROW if explain and time.monotonic() < until_s else 0
                return job_view(record, why_of(book, record, may_see, now_s, num_nodes))

            return tuple(map(view, records))

    def _sees(self, caller: Caller, book: JobBook) -> Callable[[str], bool]:
        def may_see(job_id: str) -> bool:
            known = book.records.get(job_id) or self.state.jobs.get(job_id)
            return known is not None and caller.sees(known)

        return may_see
