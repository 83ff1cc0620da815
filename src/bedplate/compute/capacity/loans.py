"""Quota that its owner does without: how much of a guarantee may be lent, and for how long.

What was lent is not taken back before its time (`Quota.lent`), so a loan is made only as far as the upper quantile of the
owner's demand leaves it idle, and it ends early enough for a replica to start. A running loan is made longer or larger, never
shorter or smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from bedplate.compute.forecast.capacity import Quantiles, replicas_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """So much of a tenant's guarantee is lent until then."""

    tenant: str
    resource: str
    """A model of accelerators, `any`, or `cpu`: as in `Quota.guaranteed`."""
    amount: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What a service's tenant is guaranteed for it."""

    tenant: str
    resource: str
    amount: float
    per_replica: float
    """What one replica takes of it."""


def loan_of(
    guarantee: Guarantee,
    path: Sequence[Quantiles],
    wanted: int,
    *,
    load_per_replica: float,
    ahead_s: float,
    now: float,
    running: Loan | None,
) -> Loan | None:
    """The loan that should be there now; the running one where none is better.

    Args:
        guarantee: What can be lent at most.
        path: Load ahead, nearest first.
        wanted: Replicas that are wanted now.
        load_per_replica: What one carries.
        ahead_s: How long before they are needed replicas are wanted: a loan ends so long before.
        now: In seconds.
        running: The loan that was made before.
    """
    running = running if running is not None and running.until_s > now else None
    needs = [wanted, *(max(0, replicas_needed(item.high, load_per_replica)) for item in path)]
    times_s = [0.0, *(item.ahead_s for item in path)]
    held = [(at_s, guarantee.per_replica * count) for at_s, count in zip(times_s, needs, strict=True)]
    best: Loan | None = running
    for most in sorted({devices for _, devices in held if devices < guarantee.amount}):
        amount = guarantee.amount - most
        until_s = now + _idle_s(held, most) - ahead_s
        if until_s > now and _is_better(amount, until_s, now, best, running):
            best = Loan(tenant=guarantee.tenant, resource=guarantee.resource, amount=amount, until_s=until_s)
    return best


def _idle_s(held: Sequence[tuple[float, float]], most: float) -> float:
    """How long no more than `most` is held; 0 where it is more from the start."""
    return max((at_s for at_s, _ in takewhile(lambda item: item[1] <= most, held)), default=0.0)


def _is_better(amount: float, until_s: float, now: float, best: Loan | None, running: Loan | None) -> bool:
    """More device time than the best so far, and nothing that was promised is taken back."""
    if running is not None and (amount < running.amount or until_s < running.until_s):
        return False
    return best is None or amount * (until_s - now) > best.amount * (best.until_s - now)
