"""Who holds how much: the tree of tenants with their quotas, kept in whole numbers so that undoing is exact.

Amounts are thousandths: of devices by model, of equivalence units (`any`), of cores (`cpu`); host memory is in MiB. What a
job holds is charged to its tenant and to all above it.

A tenant is *within its guarantee* of a model as long as it holds no more of it than is guaranteed by name, or as long as what
it holds beyond that, over all models and in units, is within its guarantee of `any`. Everything beyond is borrowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from bedplate.compute.scheduler.quota.capacity import Capacity
from bedplate.compute.scheduler.quota.tenants import ANY_MODEL, CPU, MEMORY, Quota

Charge: TypeAlias = tuple[tuple[str, int], ...]
"""Amounts by resource."""
MILLI = 1000
_NO_MODELS = {ANY_MODEL, CPU, MEMORY}


@dataclass(slots=True, kw_only=True, eq=False)
class Tenant:
    """One tenant; its owner is the ledger."""

    path: str
    line: tuple[Tenant, ...] = ()
    """From below the root down to this one."""
    quota: Quota
    guaranteed: dict[str, int] = field(default_factory=dict)
    limit: dict[str, int] = field(default_factory=dict)
    lent: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    """What it and all below it hold now."""
    pinned: dict[str, int] = field(default_factory=dict)
    """What of that is held by jobs that cannot be preempted."""
    leaving: dict[str, int] = field(default_factory=dict)
    """What of that was asked back; in trials only. Guarantees are judged without it, limits with it."""
    children: list[Tenant] = field(default_factory=list)
    changes: int = 0
    """Grows whenever what it holds changes, or its quota."""
    past: dict[str, float] = field(default_factory=dict)
    """Decayed average of what it held, by resource, as it was `past_s`."""
    past_s: float = 0.0

    def staying(self, resource: str) -> int:
        """What it holds and was not asked back."""
        return self.used.get(resource, 0) - self.leaving.get(resource, 0)

    def guarantee(self, resource: str, now: float) -> int:
        """What is guaranteed and not lent now."""
        amount = self.guaranteed.get(resource, 0)
        return max(0, amount - self.lent.get(resource, 0)) if self.lent and now < self.quota.lent_until_s else amount


class Ledger:
    """All tenants. Has one owner, the state."""

    def __init__(self, quotas: Iterable[Quota], units: Mapping[str, float], half_life_s: float = 0.0) -> None:
        self._units = units
        self._half_life_s = half_life_s
        self._undo: list[Callable[[], None]] | None = None
        self.top: list[Tenant] = []
        """Tenants right below the root."""
        self.has_guarantees = False
        """Whether anybody is guaranteed anything."""
        self.tenants: dict[str, Tenant] = {}
        for quota in quotas:
            self.set_quota(quota)

    def set_quota(self, quota: Quota) -> None:
        """What a tenant may have from now on; it may exist or not."""
        tenant = self.tenant(quota.tenant)
        tenant.quota = quota
        tenant.changes += 1
        self.has_guarantees |= any(quota.guaranteed.values())
        tenant.guaranteed, tenant.limit, tenant.lent = (_milli(part) for part in (quota.guaranteed, quota.limit, quota.lent))

    def tenant(self, path: str) -> Tenant:
        """The tenant of that path; made, with those above it, if it is new."""
        if (known := self.tenants.get(path)) is not None:
            return known
        made = self.tenants[path] = Tenant(path=path, quota=Quota(tenant=path))
        above, _, _ = path.rpartition("/")
        made.line = (*(self.tenant(above).line if above else ()), made)
        (self.tenant(above).children if above else self.top).append(made)
        return made

    def charge_of(self, model: str, device_milli: int, cpu_milli: int, memory_mib: int, workers: int) -> Charge:
        """What `workers` workers count for that take this much each."""
        cost = [(CPU, cpu_milli * workers), (MEMORY, memory_mib * workers)]
        if device_milli:
            devices = device_milli * workers
            cost += [(model, devices), (ANY_MODEL, round(devices * self._units.get(model, 1.0)))]
        return tuple(cost)

    def settle(self, tenant: Tenant, now: float) -> None:
        """Keep the past of a tenant and of all above it, before what they hold changes; nothing without a half-life."""
        if self._half_life_s:
            for member in tenant.line:
                member.past = {
                    resource: self.average(member, resource, now) for resource in member.used if resource != ANY_MODEL
                }
                member.past_s = now

    def average(self, tenant: Tenant, resource: str, now: float) -> float:
        """What a tenant held on average, the recent past counting most."""
        kept: float = 0.5 ** (max(now - tenant.past_s, 0.0) / self._half_life_s)
        return tenant.past.get(resource, 0.0) * kept + tenant.used.get(resource, 0) * (1 - kept)

    def charge(self, tenant: Tenant, charge: Charge, sign: int = 1, *, pinned: bool = False) -> None:
        """Note that a tenant holds that much more; less if `sign` is -1; `pinned` if it cannot be preempted."""
        for member in tenant.line:
            member.changes += 1
            for account in (member.used, member.pinned) if pinned else (member.used,):
                for resource, amount in charge:
                    account[resource] = account.get(resource, 0) + sign * amount
        if self._undo is not None:
            self._undo.append(lambda: self.charge(tenant, charge, -sign, pinned=pinned))

    def leave(self, tenant: Tenant, charge: Charge, sign: int = 1) -> None:
        """Note in a trial that a tenant was asked for that much."""
        assert self._undo is not None
        for member in tenant.line:
            member.changes += 1
            for resource, amount in charge:
                member.leaving[resource] = member.leaving.get(resource, 0) + sign * amount
        self._undo.append(lambda: self.leave(tenant, charge, -sign))

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is charged in a `with` block is undone at its end; may be nested."""
        outer, self._undo = self._undo, []
        try:
            yield
        finally:
            undo, self._undo = self._undo, []
            for change in reversed(undo):
                change()
            self._undo = outer

    def over_limit(self, tenant: Tenant, charge: Charge) -> tuple[Tenant, str] | None:
        """The first limit that would be exceeded if a tenant held that much more, once what was asked back is gone."""
        for member in tenant.line:
            if member.limit:
                for resource, amount in charge:
                    most = member.limit.get(resource)
                    if most is not None and amount and member.staying(resource) + amount > most:
                        return member, resource
        return None

    def most_within(self, tenant: Tenant, charge: Charge, most: int) -> int:
        """How often a tenant may be charged that much without exceeding a limit, up to `most`."""
        for member in tenant.line:
            if member.limit:
                for resource, amount in charge:
                    limit = member.limit.get(resource)
                    if limit is not None and amount:
                        most = min(most, (limit - member.used.get(resource, 0)) // amount)
        return max(most, 0)

    def covers(self, tenant: Tenant, charge: Charge, now: float) -> bool:
        """Whether a tenant would still be within its guarantee if it held that much more; its own level only."""
        if len(charge) == 2:
            (_, cpu), _ = charge
            return tenant.staying(CPU) + cpu <= tenant.guarantee(CPU, now)
        _, _, (model, amount), _ = charge
        return self._excess(tenant, model, amount, now) <= 0

    def is_over(self, tenant: Tenant, model: str, now: float) -> bool:
        """Whether a tenant holds more of a model than its guarantee covers; of cores if `model` is empty."""
        if not model:
            return tenant.staying(CPU) > tenant.guarantee(CPU, now)
        return self._excess(tenant, model, 0, now) > 0

    def may_pin(self, tenant: Tenant, charge: Charge, capacity: Capacity, *, is_empty: bool = False) -> bool:
        """Whether a tenant may hold that much for good: what cannot be preempted must leave others their guarantees.

        At every level, what siblings are guaranteed, or hold for good if that is more, is not for others. With `is_empty` as if
        nobody held anything.
        """
        for resource, amount in charge:
            if resource == MEMORY or (resource == CPU and len(charge) > 2):
                continue
            left, siblings = capacity.of(resource), self.top
            for member in tenant.line:
                others = (other for other in siblings if other is not member)
                held = ((other, 0 if is_empty else other.pinned.get(resource, 0)) for other in others)
                left -= sum(max(self._entitled(other, resource), pinned) for other, pinned in held)
                siblings = member.children
            if (0 if is_empty else tenant.pinned.get(resource, 0)) + amount > left:
                return False
        return True

    def _entitled(self, tenant: Tenant, resource: str) -> int:
        amount = tenant.guaranteed.get(resource, 0)
        if resource == ANY_MODEL:
            named = (item for item in tenant.guaranteed.items() if item[0] not in _NO_MODELS)
            amount += sum(round(devices * self._units.get(model, 1.0)) for model, devices in named)
        return amount

    def _excess(self, tenant: Tenant, model: str, more: int, now: float) -> int:
        """How much of `model` is beyond the guarantee of it, or all models beyond that of `any`: the smaller one."""
        beyond = tenant.staying(model) + more - tenant.guarantee(model, now)
        if beyond <= 0 or not tenant.guaranteed.get(ANY_MODEL):
            return beyond
        units = beyond * self._units.get(model, 1.0)
        for name in tenant.used:
            if name != model and name not in _NO_MODELS:
                units += max(0, tenant.staying(name) - tenant.guarantee(name, now)) * self._units.get(name, 1.0)
        return min(beyond, round(units) - tenant.guarantee(ANY_MODEL, now))


def _milli(amounts: Mapping[str, float]) -> dict[str, int]:
    return {resource: round(amount * MILLI) for resource, amount in amounts.items()}
