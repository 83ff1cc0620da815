"""`fair`: the tenant with the least dominant share first; level by level of the tree.

A tenant's share of a resource (devices of each model, cores, memory) is what it holds of all there is; the largest one is its
dominant share, divided by its weight. Children are compared among siblings only, after their parents.

What is held now counts, and with `half_life` as much again what was held on average, halved after that time. Held now alone is
the default: it forgets, so a tenant is never punished for what nobody else wanted last night; the decayed part is for clusters
where groups take turns, where one that was away for a week should go first for a while.

Source: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011; hierarchy by comparing level by level, as YARN and YuniKorn do.
"""

from __future__ import annotations

from bedplate.compute.scheduler.capacity import Capacity
from bedplate.compute.scheduler.ledger import Charge, Ledger, Tenant
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.tenants import ANY_MODEL


def make_rule(settings: SchedulerSettings) -> FairRule:
    """See the file's header; the state binds it to its ledger."""
    return FairRule()


class FairRule:
    """Reads what tenants hold."""

    def __init__(self) -> None:
        self._ledger: Ledger | None = None
        self._capacity = Capacity()
        self._shares: dict[Tenant, tuple[tuple[int, int], float]] = {}
        """Share of each tenant, and as of which change of what it holds and of the nodes."""

    def bind(self, ledger: Ledger, capacity: Capacity) -> None:
        """See `TenantRule`."""
        self._ledger, self._capacity = ledger, capacity

    def tenant_key(self, tenant: Tenant, charge: Charge, now: float) -> tuple[float, ...]:
        """See `TenantRule`: the share of each level, from the top."""
        return tuple(self.share(member, now) for member in tenant.line)

    def share(self, tenant: Tenant, now: float) -> float:
        """Dominant share of one tenant, divided by its weight."""
        if tenant.past:
            return self._share(tenant, now)
        known = self._shares.get(tenant)
        if known is None or known[0] != (tenant.changes, self._capacity.changes):
            known = self._shares[tenant] = ((tenant.changes, self._capacity.changes), self._share(tenant, now))
        return known[1]

    def _share(self, tenant: Tenant, now: float) -> float:
        most, capacity = 0.0, self._capacity.amounts
        for resource, amount in tenant.used.items():
            if amount and resource != ANY_MODEL and (have := capacity.get(resource)):
                most = max(most, amount / have)
        if tenant.past and self._ledger is not None:
            past = ((self._capacity.of(name), self._ledger.average(tenant, name, now)) for name in tenant.past)
            most += max((average / have for have, average in past if have), default=0.0)
        return most / tenant.quota.weight
