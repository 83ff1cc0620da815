"""Who may take whose place.

Within a tenant, higher priority takes from lower. Between tenants, nothing is taken from one that is within its guarantee;
from one that borrows, a tenant that is within its own guarantee takes what it wants, whatever the priority, and others
take from lower priority. Tenants are compared where their lines part: children of the nearest common one.

Workers that an elastic job has beyond its minimum are idle capacity put to use: who is not less urgent takes them too.

That cannot go round in circles: a taker within its guarantee is not to be taken from by who borrowed, priority is a strict
order, and a job never takes the place of one that displaced it.
"""

from __future__ import annotations

import enum

import numpy as np

from bedplate.compute.scheduler.buckets import Buckets
from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.ledger import Charge, Ledger, Tenant
from bedplate.compute.scheduler.needs import Variant
from bedplate.compute.scheduler.placement.arrays import Ints


class Claim(enum.IntEnum):
    """How strong the claim of one job on the place of another is."""

    NONE = 0
    EXTRA = 1
    """Only on what the other has beyond its minimum."""
    PRIORITY = 2
    GUARANTEE = 3

    @property
    def text(self) -> str:
        """What the taker is said to do."""
        return ("", "needs what is extra to an elastic job", "has the higher priority", "wants its guarantee back")[self]


class Claims:
    """Of one pass; what depends on tenants only is worked out once for each change of what they hold."""

    def __init__(self, ledger: Ledger, buckets: Buckets, now: float) -> None:
        self._ledger, self._buckets, self._now = ledger, buckets, now
        self._over: dict[tuple[Tenant, str], tuple[int, bool]] = {}
        self._parts: dict[tuple[Tenant, Tenant], tuple[Tenant | None, Tenant | None]] = {}

    def by_bucket(self, taker: Entry, variant: Variant, charge: Charge) -> Ints:
        """The claim of a waiting job on each bucket of running ones, shape (B,), by the numbers of the buckets.

        Args:
            taker: The waiting job.
            variant: On which model it would run; jobs on other models do not help it.
            charge: What it will count for.
        """
        priority_B, model_B = self._buckets.priorities(), self._buckets.models(variant.model)
        claim_B: Ints = (priority_B <= taker.job.priority).astype(np.int64) + (priority_B < taker.job.priority)
        claim_B *= model_B
        if self._ledger.has_guarantees:
            for (tenant, priority, model), number in self._buckets:
                claim_B[number] = self.claim(taker, charge, tenant, priority, model) if model_B[number] else Claim.NONE
        return claim_B

    def claim(self, taker: Entry, charge: Charge, tenant: Tenant, priority: int, model: str) -> Claim:
        """The claim on jobs of a tenant, a priority and a model (empty without accelerators)."""
        by_priority = Claim.NONE
        if priority <= taker.job.priority:
            by_priority = Claim.PRIORITY if priority < taker.job.priority else Claim.EXTRA
        if tenant is taker.tenant:
            return by_priority
        key = (taker.tenant, tenant)
        if (parts := self._parts.get(key)) is None:
            parts = self._parts[key] = _branches(*key)
        own, other = parts
        if other is not None and not self._is_over(other, model):
            return Claim.NONE
        if own is not None and self._ledger.covers(own, charge, self._now):
            return Claim.GUARANTEE
        return by_priority

    def _is_over(self, tenant: Tenant, model: str) -> bool:
        known = self._over.get((tenant, model))
        if known is None or known[0] != tenant.changes:
            known = self._over[tenant, model] = (tenant.changes, self._ledger.is_over(tenant, model, self._now))
        return known[1]


def _branches(one: Tenant, other: Tenant) -> tuple[Tenant | None, Tenant | None]:
    """Where two lines part; None for a tenant that is above the other one."""
    for ours, theirs in zip(one.line, other.line, strict=False):
        if ours is not theirs:
            return ours, theirs
    common = min(len(one.line), len(other.line))
    return one.line[common] if len(one.line) > common else None, other.line[common] if len(other.line) > common else None
