"""Who may ask anything: users, their roles and their tokens."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.paging import Page, PageRequest, page_by_name
from bedplate.app.control.calls.tokens import check_tenant, check_user_name, new_token, token_digest
from bedplate.app.control.calls.views import user_view
from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.json import JsonObject
from bedplate.state.job_records import UserRecord
from bedplate.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCalls:
    """Calls about users."""

    state: StateStore

    def page(self, caller: Caller, role: str | None, page: PageRequest) -> Page[JsonObject]:
        """Users by name; with `role`, only those who have it."""
        caller.check_role("list users", Role.ADMIN)
        shown = [user for user in self.state.users.all() if role in (None, user.role)]
        found = page_by_name(shown, page, lambda user: user.name)
        return Page(items=tuple(map(user_view, found.items)), next=found.next)

    def add(self, caller: Caller, name: str, role: str, tenants: tuple[str, ...]) -> tuple[JsonObject, str]:
        """A new user, and the token, which is shown this once.

        Raises:
            UsageError: There is one of this name, or no such name, role or tenant.
        """
        caller.check_role("add users", Role.ADMIN)
        check_user_name(name)
        for tenant in tenants:
            check_tenant(tenant)
        if role not in [item.value for item in Role]:
            raise UsageError("no such role", seen=role, expected=", ".join(item.value for item in Role))
        token = new_token()
        user = self.state.users.add(name, role, tenants, token_digest(token))
        if user is None:
            raise UsageError(f"there is a user '{name}' already", expected="another name, or 'bedplate users token NAME'")
        return user_view(user), token

    def renew_token(self, caller: Caller, name: str) -> str:
        """Another token for a user, who may be the caller; the one before is no longer valid.

        Raises:
            NotFoundError: No such user.
        """
        if name != caller.name:
            caller.check_role("renew the tokens of others", Role.ADMIN)
        self._user(name)
        token = new_token()
        self.state.users.set_token(name, token_digest(token))
        return token

    def remove(self, caller: Caller, name: str) -> None:
        """Take a user's rights; the jobs go on.

        Raises:
            NotFoundError: No such user.
            UsageError: It is the caller: an admin is left that way.
        """
        caller.check_role("remove users", Role.ADMIN)
        if name == caller.name:
            raise UsageError(
                "nobody removes themselves", seen=name, expected="another user", next_step="let another admin do it"
            )
        self._user(name)
        self.state.users.remove(name)

    def _user(self, name: str) -> UserRecord:
        user = self.state.users.get(name)
        if user is None:
            raise NotFoundError(f"there is no user '{name}'", next_step="'bedplate users' lists them")
        return user
