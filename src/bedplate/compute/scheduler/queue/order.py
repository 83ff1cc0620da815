"""The rules of the queue, put together: what comes before the rule for tenants, the rule for tenants, what comes after it."""

from __future__ import annotations

from typing import TypeAlias

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.queue import open_rule
from bedplate.compute.scheduler.queue.base import JobRule, TenantRule
from bedplate.compute.scheduler.quota.capacity import Capacity
from bedplate.compute.scheduler.quota.ledger import Charge, Ledger, Tenant
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.errors import UsageError

Key: TypeAlias = tuple[float, ...]


class QueueOrder:
    """The order in which jobs are looked at. Has one owner, the state."""

    def __init__(self, settings: SchedulerSettings, ledger: Ledger, capacity: Capacity) -> None:
        self._ledger = ledger
        self._job_rules: list[JobRule] = []
        self._tenant_rule: TenantRule | None = None
        self.num_before = len(settings.order)
        """Job rules that come before the rule for tenants."""
        for name in settings.order:
            rule = open_rule(name, settings)
            if isinstance(rule, JobRule):
                self._job_rules.append(rule)
            elif self._tenant_rule is None:
                self._tenant_rule, self.num_before = rule, len(self._job_rules)
            else:
                raise UsageError(
                    "the order of the queue has two rules for tenants", seen=", ".join(settings.order), expected="one at most"
                )
        if self._tenant_rule is not None:
            self._tenant_rule.bind(ledger, capacity)

    def job_key(self, job: Job) -> Key:
        """Of all job rules; the same as long as the job waits."""
        return tuple(rule.job_key(job) for rule in self._job_rules)

    def rights(self, tenant: Tenant, charge: Charge, now: float) -> Key:
        """0 for each level of the tree at which a tenant stays within its guarantee, 1 where it borrows; before all rules.

        Guaranteed work goes before what is borrowed, of whatever priority: else what an owner took back would go to the next
        guest, and be taken back again.
        """
        if not self._ledger.has_guarantees:
            return ()
        return tuple(0.0 if self._ledger.covers(member, charge, now) else 1.0 for member in tenant.line)

    def tenant_key(self, tenant: Tenant, charge: Charge, now: float) -> Key:
        """Of the rule for tenants; changes with what tenants hold."""
        return () if self._tenant_rule is None else self._tenant_rule.tenant_key(tenant, charge, now)
