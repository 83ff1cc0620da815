"""Services among the jobs follow their load: what was reported is read, replicas are wanted, and the next pass acts on it.

Load is a metric sample of the name `load` about the job (`POST /v1/jobs/ID/load`) or in its run (what its own steps report). It
is read, and forecast, in a thread of its own: fitting a model takes seconds, and a pass of the scheduler must not wait for it.
What is wanted is kept in the job's request, so that a service that comes again knows it.
"""

from __future__ import annotations

import math
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from bedplate.app.control.batch import Batch
from bedplate.app.control.book import JobBook
from bedplate.app.control.requests import Terms
from bedplate.compute.capacity.controller import CapacityController, Target
from bedplate.compute.capacity.following import Following
from bedplate.compute.capacity.loans import Guarantee, Loan
from bedplate.compute.scheduler.job import WHOLE, Request
from bedplate.compute.scheduler.tenants import ANY_MODEL, CPU
from bedplate.core.errors import BedplateError, UsageError
from bedplate.core.events.event import Subject, SubjectKind
from bedplate.core.events.kinds import CapacityRetargeted, QuotaLent
from bedplate.core.messages import decode, encode
from bedplate.core.units import format_duration
from bedplate.state.job_records import JobRecord, TenantRecord
from bedplate.state.store import StateStore

METRIC = "load"
_HISTORY = 100_000
"""Samples that are read of one service, the oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """A service as the last pass saw it."""

    following: Following
    run_id: str | None
    guarantee: Guarantee | None


class CapacityFollower:
    """What services want. `update` and `apply` may be called by different threads, each by one.

    Args:
        state: Where load is kept.
        controller: What turns it into replicas.
    """

    def __init__(self, state: StateStore, controller: CapacityController | None = None) -> None:
        self._state, self._controller = state, controller or CapacityController()
        self._services: Mapping[str, _Service] = {}
        self._known: dict[str, _Service] = {}
        self._seen_s: dict[str, float] = {}
        self._targets: Mapping[str, Target] = {}
        self._lent: dict[str, list[Loan]] = {}

    def update(self) -> bool:
        """Read what was reported, and say what is wanted; whether that is anything new. May take seconds."""
        services, now_s = self._services, self._state.clock.now()
        for job_id in self._known.keys() - services.keys():
            self._controller.remove(job_id)
            self._seen_s.pop(job_id, None)
        found = {}
        for job_id, service in services.items():
            known = self._known.get(job_id)
            if known is None or (known.following, known.guarantee) != (service.following, service.guarantee):
                self._controller.add(job_id, service.following, service.guarantee)
                self._seen_s.pop(job_id, None)
            for at_s, value in self._news(job_id, service, now_s):
                self._controller.observe(job_id, at_s, value)
            found[job_id] = self._controller.target(job_id, now_s)
        self._known = dict(services)
        is_new, self._targets = found != self._targets, found
        return is_new

    def apply(self, book: JobBook, batch: Batch) -> None:
        """Tell the scheduler what is wanted, and note which services there are."""
        self._services = {
            job_id: _Service(
                following=following,
                run_id=book.records[job_id].run_id,
                guarantee=_guarantee(book.quotas, book.records[job_id], book.requests[job_id], following.most),
            )
            for job_id, following in book.following.items()
        }
        targets = self._targets
        for job_id in book.following.keys() & targets.keys() & book.scheduler.entries.keys():
            self._retarget(book, batch, targets[job_id])
        loans = [target.loan for target in targets.values() if target.loan is not None and target.loan.until_s > batch.now_s]
        for tenant in {loan.tenant for loan in loans} | self._lent.keys():
            self._lend(book, batch, tenant, [loan for loan in loans if loan.tenant == tenant])

    def _retarget(self, book: JobBook, batch: Batch, target: Target) -> None:
        before = book.requests[target.service].workers
        book.scheduler.retarget(target.service, target.replicas, target.replicas)
        book.wishes[target.service] = f"it wants {target.replicas} replicas ({target.mode.value}): {target.reason}"
        if before != target.replicas:
            request = book.requests[target.service] = book.scheduler.entry(target.service).job.request
            book.change(batch, target.service, request=encode(request))
            facts = CapacityRetargeted(
                replicas_before=before, replicas=target.replicas, mode=target.mode.value, reason=target.reason
            )
            record = book.records[target.service]
            batch.note_job(target.service, facts, f"{before} to {target.replicas} replicas: {target.reason}", record.run_id)

    def _lend(self, book: JobBook, batch: Batch, tenant: str, loans: Sequence[Loan]) -> None:
        """What services of a tenant lend together, until the first loan ends; then what is left."""
        lent: dict[str, float] = {}
        for loan in loans:
            lent[loan.resource] = lent.get(loan.resource, 0.0) + loan.amount
        until_s = min((loan.until_s for loan in loans), default=0.0)
        quota = book.scheduler.ledger.tenant(tenant).quota
        if (dict(quota.lent), quota.lent_until_s) != (lent, until_s):  # also after the book was made again
            book.scheduler.set_quota(replace(quota, lent=lent, lent_until_s=until_s))
        if self._lent.get(tenant, []) != list(loans):
            for resource, amount in lent.items():
                facts = QuotaLent(tenant=tenant, resource=resource, amount=amount, until_s=until_s)
                left = format_duration(until_s - batch.now_s)
                batch.note_service(facts, f"{amount:g} {resource} of tenant '{tenant}' lent for {left}")
        self._lent[tenant] = list(loans)
        if not loans:
            del self._lent[tenant]

    def _news(self, job_id: str, service: _Service, now_s: float) -> Iterator[tuple[float, float]]:
        """Load that was reported since the last time, in order; nothing of the future."""
        since_s = self._seen_s.get(job_id, -math.inf)
        subject = Subject(kind=SubjectKind.JOB, id=job_id)
        samples = list(self._state.metrics.of_subject(subject, METRIC, since_s=since_s, limit=_HISTORY))
        if service.run_id is not None:
            samples += self._state.metrics.of_run(service.run_id, METRIC, since_s=since_s, limit=_HISTORY)
        for sample in sorted(samples, key=lambda sample: sample.at_s):
            if since_s < sample.at_s <= now_s and sample.value is not None and sample.value >= 0:
                self._seen_s[job_id] = sample.at_s
                yield sample.at_s, sample.value


class CapacityWatch:
    """A thread that updates a follower every so often, while inside `with`.

    Args:
        follower: What is updated.
        every_s: How often.
        on_change: Called when something else is wanted.
    """

    def __init__(self, follower: CapacityFollower, every_s: float, on_change: Callable[[], None]) -> None:
        self._follower, self._every_s, self._on_change = follower, every_s, on_change
        self._is_ending = threading.Event()
        self.error: Exception | None = None
        """Why the last look failed; None where it did not."""
        self._thread = threading.Thread(target=self._run, name="bedplate-capacity", daemon=True)

    def __enter__(self) -> CapacityWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._is_ending.set()
        self._thread.join(timeout=1.0)  # a model that is being fitted ends with the process

    def _run(self) -> None:
        while not self._is_ending.wait(self._every_s):
            try:
                if self._follower.update():
                    self._on_change()
                self.error = None
            except BedplateError as error:  # the state is away: the next look tries again
                self.error = error
            except Exception as error:  # a fault of ours must not end the service; what was wanted last stays
                self.error = error
                traceback.print_exc()


def report_load(state: StateStore, record: JobRecord, value: float, at_s: float | None = None) -> None:
    """Note the load of a service.

    Raises:
        UsageError: It is no service, it has ended, or there is no such load.
    """
    if decode(Terms, record.terms).replicas is None:
        raise UsageError(
            f"{record.id} does not follow load",
            seen="a job without 'replicas' in its needs",
            expected="needs: {replicas: {per_replica: N, most: N}}",
        )
    if record.phase.is_final:
        raise UsageError(f"{record.id} has ended", seen=record.phase.value, expected="a job that waits or runs")
    now_s = state.clock.now()
    at_s = now_s if at_s is None else at_s
    if not (math.isfinite(value) and value >= 0):
        raise UsageError("no such load", seen=value, expected="a number, 0 or more")
    if not at_s <= now_s + 60:
        raise UsageError("load is reported when it is known", seen=f"{at_s - now_s:g} s from now", expected="now, or earlier")
    sample: dict[str, Any] = {
        "subject_kind": SubjectKind.JOB.value,
        "subject_id": record.id,
        "run_id": None,
        "step": "",
        "name": METRIC,
        "at_s": min(at_s, now_s),
        "value": value,
        "labels": {},
    }
    state.append([], [sample])


def _guarantee(quotas: Mapping[str, TenantRecord], record: JobRecord, request: Request, most: int) -> Guarantee | None:
    """What a service's tenant is guaranteed for work like this, as far as the service may need it; None where nothing is."""
    tenant = quotas.get(record.tenant)
    if tenant is None:
        return None
    if request.devices:
        resources = [(model, request.device_milli / WHOLE) for model in (*request.accelerators, ANY_MODEL)]
    else:
        resources = [(CPU, request.cpu_milli / WHOLE)]
    for resource, per_replica in resources:
        if (amount := tenant.guaranteed.get(resource, 0.0)) > 0:
            return Guarantee(
                tenant=tenant.name, resource=resource, amount=min(amount, most * per_replica), per_replica=per_replica
            )
    return None
