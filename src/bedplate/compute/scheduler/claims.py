"""Who may take whose place.

Within a tenant, higher priority takes from lower. Between tenants, nothing is taken from one that is within its guarantee;
from one that borrows, a tenant that is within its own guarantee takes what it wants, whatever the priority, and others
take from lower priority. Tenants are compared where their lines part: children of the nearest common one.

Workers that an elastic job has beyond its minimum are idle capacity put to use: who may not be less urgent takes them too.

That cannot go round in circles: a taker within its guarantee is not to be taken from by who borrowed, priority is a strict
order, and a job never takes the place of one that displaced it.
"""

from __future__ import annotations

import enum

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.ledger import Charge, Ledger, Tenant


class Claim(enum.Enum):
    """How strong the claim of one job on the place of another is."""

    GUARANTEE = "wants its guarantee back"
    PRIORITY = "has the higher priority"
    EXTRA = "needs what is extra to an elastic job"
    """Only what the other has beyond its minimum."""

    @property
    def strength(self) -> int:
        """1 to 3; see `Holdings.claimed`."""
        return {Claim.EXTRA: 1, Claim.PRIORITY: 2, Claim.GUARANTEE: 3}[self]


def claim_on(
    ledger: Ledger, taker: Entry, charge: Charge, tenant: Tenant, priority: int, model: str, now: float
) -> Claim | None:
    """The claim of a waiting job on jobs of a tenant, a priority and a model; None if it has none.

    Args:
        ledger: What tenants hold now.
        taker: The waiting job.
        charge: What it will count for.
        tenant: Whose jobs.
        priority: Of the jobs.
        model: That the jobs run on; empty without accelerators.
        now: In seconds.
    """
    by_priority = None
    if priority <= taker.job.priority:
        by_priority = Claim.PRIORITY if priority < taker.job.priority else Claim.EXTRA
    if tenant is taker.tenant:
        return by_priority
    own, other = _branches(taker.tenant, tenant)
    if other is not None and not ledger.is_over(other, model, now):
        return None
    if own is not None and ledger.covers(own, charge, now):
        return Claim.GUARANTEE
    return by_priority


def _branches(one: Tenant, other: Tenant) -> tuple[Tenant | None, Tenant | None]:
    """Where two lines part; None for a tenant that is above the other one."""
    for ours, theirs in zip(one.line, other.line, strict=False):
        if ours is not theirs:
            return ours, theirs
    common = min(len(one.line), len(other.line))
    return one.line[common] if len(one.line) > common else None, other.line[common] if len(other.line) > common else None
