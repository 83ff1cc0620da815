"""What a rule of the queue is: of jobs, by what never changes while they wait; or of tenants, by what they hold now.

The key of a job must not change while it waits: so tenants' queues stay sorted, and a pass costs what it looks at and not the
length of the queue. What rises with time is written as a time: a job's age as when it was submitted, its laxity as when
it must have started.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.quota.capacity import Capacity
from bedplate.compute.scheduler.quota.ledger import Charge, Ledger, Tenant


@runtime_checkable
class JobRule(Protocol):
    """Orders jobs."""

    def job_key(self, job: Job) -> float:
        """Jobs of a lower key go first; the same as long as the job waits."""
        ...


class TenantRule(Protocol):
    """Orders tenants; at most one of the rules is of this kind."""

    def bind(self, ledger: Ledger, capacity: Capacity) -> None:
        """Called once: what tenants hold, and how much of each resource there is; both change as time goes on."""
        ...

    def tenant_key(self, tenant: Tenant, charge: Charge, now: float) -> tuple[float, ...]:
        """The tenant of a lower key goes first.

        Args:
            tenant: Who asks.
            charge: What its next job would count for.
            now: In seconds.
        """
        ...


Rule: TypeAlias = JobRule | TenantRule
