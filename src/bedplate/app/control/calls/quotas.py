"""What tenants may have: listed, set and removed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.paging import Page, PageRequest, page_by_name
from bedplate.app.control.calls.tokens import check_tenant
from bedplate.app.control.calls.views import quota_view
from bedplate.app.control.scheduling.book import quota_of
from bedplate.app.control.scheduling.controller import Controller
from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.json import JsonObject
from bedplate.state.job_records import TenantRecord
from bedplate.state.jobs import under
from bedplate.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCalls:
    """Calls about tenants."""

    state: StateStore
    controller: Controller
    wake: Callable[[], None]
    """Called when something was changed that the scheduler should see."""

    def page(self, caller: Caller, below: tuple[str, ...] | None, page: PageRequest) -> Page[JsonObject]:
        """Tenants by name, with what they may have and what they hold: all of them, or the caller's own and those below.

        With `below`, only these tenants and those below them.
        """
        with self.controller.book() as book:
            ledger = book.scheduler.ledger.tenants
            used = {name: {key: amount / 1000 for key, amount in ledger[name].used.items() if amount} for name in ledger}
            known = {name: TenantRecord(name=name) for name in used if name} | book.quotas
        known |= {tenant.name: tenant for tenant in self.state.tenants.all()}
        shown = [tenant for tenant in known.values() if caller.sees_all or under(tenant.name, caller.own_tenants)]
        shown = [tenant for tenant in shown if below is None or under(tenant.name, below)]
        found = page_by_name(shown, page, lambda tenant: tenant.name)
        return Page(items=tuple(quota_view(tenant, used.get(tenant.name, {})) for tenant in found.items), next=found.next)

    def unreadable(self) -> tuple[str, ...]:
        """Why stored quotas cannot be read, one text a tenant; these tenants are guaranteed nothing."""
        with self.controller.book() as book:
            return tuple(str(error) for error in book.unreadable.values())

    def set(self, caller: Caller, tenant: TenantRecord) -> None:
        """Set what a tenant may have.

        Raises:
            UsageError: A negative amount, a guarantee above the limit, or no name of a tenant.
        """
        caller.check_role("set quotas", Role.ADMIN)
        check_tenant(tenant.name)
        quota_of(tenant)  # refuses amounts that are none
        _check_limit(tenant)
        self.state.tenants.set(tenant)
        self.wake()

    def remove(self, caller: Caller, name: str) -> None:
        """Let a tenant have only what it can borrow.

        Raises:
            NotFoundError: Nothing was set for it.
        """
        caller.check_role("remove quotas", Role.ADMIN)
        if not self.state.tenants.remove(name):
            raise NotFoundError(f"no quota is set for '{name}'", next_step="'bedplate quota' lists them")
        self.wake()


def _check_limit(tenant: TenantRecord) -> None:
    for what, amount in tenant.guaranteed.items():
        if amount > tenant.limit.get(what, math.inf):
            raise UsageError(
                "more is guaranteed than the limit allows",
                seen=f"{what}: guaranteed {amount:g}, limit {tenant.limit[what]:g}",
                expected="a limit of at least what is guaranteed",
            )
