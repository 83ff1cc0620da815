"""What the service knows between two passes: jobs as they are on record, the scheduler's state, and who has which cores.

It is made from the state database at the start, and again whenever something could not be written: what is on record is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bedplate.app.control.scheduling.batch import Batch
from bedplate.app.control.scheduling.cores import CoreBook, accelerators
from bedplate.app.control.scheduling.device_facts import DeviceFacts
from bedplate.app.control.scheduling.progress import ProgressBook
from bedplate.app.control.scheduling.requests import Placed, Terms, job_of, placed_from_json, workers_by_node
from bedplate.compute.capacity.following import Following
from bedplate.compute.scheduler.job import Request
from bedplate.compute.scheduler.jobs.entry import Phase as SchedulerPhase
from bedplate.compute.scheduler.quota.tenants import Quota
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError, UsageError
from bedplate.core.messages import decode
from bedplate.state.job_records import PLACED, JobRecord, TenantRecord


class JobBook:
    """Has one owner, the controller."""

    def __init__(
        self, nodes: Iterable[Node], tenants: Iterable[TenantRecord], settings: SchedulerSettings, facts: DeviceFacts
    ) -> None:
        nodes = tuple(nodes)
        self.quotas = {tenant.name: tenant for tenant in tenants}
        self.facts = facts
        """What is believed of the models of devices."""
        self.unreadable: dict[str, BedplateError] = {}
        """Why the stored quota of a tenant cannot be read, by its name; until it is set it may have what it can borrow."""
        quotas = [quota for tenant in self.quotas.values() if (quota := self._quota_of(tenant)) is not None]
        self.scheduler = SchedulerState(nodes, facts.see(nodes), quotas, settings=settings, speed=facts.speed)
        self.progress = ProgressBook()
        """How far running jobs are."""
        self.learnt_at_s = -math.inf
        """When the scheduler was last told of progress and speeds."""
        self.cores = CoreBook()
        for node in nodes:
            self.cores.add(node)
        self.records: dict[str, JobRecord] = {}
        """Jobs that have not ended, by id."""
        self.requests: dict[str, Request] = {}
        """What each of them asks for."""
        self.seen_nodes: tuple[Node, ...] = nodes
        """The newest answer of the engine about its nodes that was taken in."""
        self.held_back: set[str] = set()
        """Nodes that went and are back, while processes of before still hold something of them."""
        self.placed: dict[str, Placed] = {}
        """What each placed job holds; while it grows, what it is to have."""
        self.adrift: set[str] = set()
        """Placed jobs that the scheduler's state does not know: a node of theirs was away or another one then."""
        self.drained: dict[str, str] = {}
        """Reason by node."""
        self.following: dict[str, Following] = {}
        """How the replicas of each service among the jobs follow its load."""
        self.wishes: dict[str, str] = {}
        """Of each service, how many replicas it wants, and why; for people."""

    @classmethod
    def load(
        cls,
        records: Iterable[JobRecord],
        nodes: Iterable[Node],
        tenants: Iterable[TenantRecord],
        settings: SchedulerSettings,
        now_s: float,
        facts: DeviceFacts | None = None,
    ) -> JobBook:
        """The book of what is on record."""
        book = cls(nodes, tenants, settings, facts or DeviceFacts())
        records = tuple(records)
        for record in records:
            book.admit(record)
        for record in records:
            if record.phase in PLACED and record.allocation is not None:
                book._readmit(record, placed_from_json(record.allocation), now_s)
        return book

    def admit(self, record: JobRecord) -> None:
        """A job is there, and waits."""
        self.records[record.id] = record
        job = job_of(record)
        self.requests[record.id] = job.request
        if (following := decode(Terms, record.terms).replicas) is not None:
            self.following[record.id] = following
        self.scheduler.submit(job, check=False)

    def change(self, batch: Batch, job_id: str, **values: Any) -> JobRecord:
        """New values of a job, here and in the batch."""
        changed = self.records[job_id] = replace(self.records[job_id], **values)
        batch.change(job_id, **{name: getattr(value, "value", value) for name, value in values.items()})
        return changed

    def hold(self, job_id: str, placed: Placed) -> None:
        """A job holds this, whose cores are booked."""
        self.placed[job_id] = placed

    def let_go(self, job_id: str) -> None:
        """A job holds nothing any more."""
        if (placed := self.placed.pop(job_id, None)) is not None:
            self.cores.take_back(placed.nodes)

    def forget(self, job_id: str) -> None:
        """A job has ended; the scheduler was told."""
        self.let_go(job_id)
        self.adrift.discard(job_id)
        self.following.pop(job_id, None)
        self.wishes.pop(job_id, None)
        del self.records[job_id], self.requests[job_id]

    def wait_again(self, job_id: str, now_s: float, not_before_s: float = 0.0) -> None:
        """A placed job waits again."""
        self.let_go(job_id)
        if job_id in self.adrift:
            self.adrift.remove(job_id)
            self.scheduler.submit(job_of(self.records[job_id]), check=False)
        elif self.scheduler.entry(job_id).phase is SchedulerPhase.PREEMPTING:
            self.scheduler.preempted(job_id, now_s)
        else:
            self.scheduler.requeued(job_id, now_s, not_before_s=not_before_s)

    def end(self, job_id: str, now_s: float) -> None:
        """A job has ended, wherever it was."""
        if job_id in self.adrift:
            pass
        elif self.scheduler.entry(job_id).phase is SchedulerPhase.WAITING:
            self.scheduler.withdraw(job_id)
        else:
            self.scheduler.ended(job_id, now_s)
        self.forget(job_id)

    def set_quotas(self, tenants: Iterable[TenantRecord]) -> None:
        """What tenants may have from now on; one that is not named any more may have what it can borrow."""
        now: Mapping[str, TenantRecord] = {tenant.name: tenant for tenant in tenants}
        for name in self.quotas.keys() | now.keys():
            if self.quotas.get(name) != now.get(name):
                self.unreadable.pop(name, None)
                quota = self._quota_of(now.get(name) or TenantRecord(name=name))
                if quota is None and name in self.scheduler.ledger.tenants:
                    quota = Quota(tenant=name)
                if quota is not None:
                    self.scheduler.set_quota(quota)
        self.quotas = dict(now)

    def set_drained(self, drained: Mapping[str, str]) -> None:
        """Which nodes get no new work, with the reasons; others do."""
        for node in self.cores.nodes:
            if drained.get(node.id) != self.drained.get(node.id):
                self.scheduler.node_usable(node.id, node.id not in drained, drained.get(node.id, ""))
        self.drained = {node.id: drained[node.id] for node in self.cores.nodes if node.id in drained}

    def _readmit(self, record: JobRecord, placed: Placed, now_s: float) -> None:
        self.cores.hold(placed.nodes)
        self.placed[record.id] = placed
        changed = set(self._changed_under(placed))
        is_away = any(self.cores.node(part.node) is None for part in placed.nodes)
        if not is_away and not changed:
            try:
                self.scheduler.started(record.id, placed.allocation, record.placed_at_s or now_s)
            except UsageError:
                changed = {part.node for part in placed.nodes}
        if is_away or changed:
            self.scheduler.withdraw(record.id)
            self.adrift.add(record.id)
            self.held_back |= changed
            return
        beneficiary = str((record.stop or {}).get("beneficiary", ""))
        if (record.stop or {}).get("why") == "preempted" and beneficiary in self.records:
            self.scheduler.preempting(record.id, beneficiary, now_s)

    def _changed_under(self, placed: Placed) -> Iterator[str]:
        """Nodes that do not have any more what a job holds of them."""
        places = workers_by_node(placed.allocation.places)
        for part in placed.nodes:
            if (node := self.cores.node(part.node)) is None:
                continue
            devices = accelerators(node)
            positions = sorted({position for place in places[part.node] for position in place.devices})
            now = tuple(devices[position].id for position in positions if position < len(devices))
            if now != part.devices or not set(part.cores) <= set(node.cores):
                yield part.node

    def _quota_of(self, tenant: TenantRecord) -> Quota | None:
        """A stored quota in the scheduler's words; None, and noted, where it cannot be read: the others go on."""
        try:
            return quota_of(tenant)
        except (BedplateError, TypeError, ValueError, AttributeError) as error:
            self.unreadable[tenant.name] = UsageError(
                f"the stored quota of tenant '{tenant.name}' cannot be read",
                seen=error.seen if isinstance(error, BedplateError) else str(error),
                expected="finite amounts of 0 or more by model, a finite weight above 0",
                next_step=f"set it again: 'bedplate quota set {tenant.name} ...'; until then nothing is guaranteed to it",
            )
            return None


def quota_of(tenant: TenantRecord) -> Quota:
    """What a tenant may have, in the scheduler's words.

    Raises:
        UsageError: Amounts that are none, or no name of a tenant.
    """
    return Quota(tenant=tenant.name, guaranteed=tenant.guaranteed, limit=tenant.limit, weight=tenant.weight)
