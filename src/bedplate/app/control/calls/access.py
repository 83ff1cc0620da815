"""Who may do what: four roles, and tenants.

    admin     everything
    operator  sees and cancels every job, drains nodes; sets no quotas and no users
    user      submits to own tenants; sees and cancels own jobs
    viewer    sees the jobs of own tenants; changes nothing

A tenant that a user belongs to has all below it in it. What somebody may not see does not exist for them: the answer is the
same as for a job that never was.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from bedplate.core.errors import ForbiddenError, NotFoundError
from bedplate.state.job_records import JobRecord, UserRecord
from bedplate.state.jobs import JobFilter, under


class Role(enum.StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    OPERATOR = "operator"
    USER = "user"
    VIEWER = "viewer"


ROOT_TENANT = "default"
"""Tenant of those who belong to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who showed a valid token."""

    name: str
    role: Role
    tenants: tuple[str, ...]

    @classmethod
    def of(cls, user: UserRecord) -> Caller:
        """The user as a caller."""
        return cls(name=user.name, role=Role(user.role), tenants=user.tenants)

    @property
    def sees_all(self) -> bool:
        """Whether every job may be seen."""
        return self.role in (Role.ADMIN, Role.OPERATOR)

    def filtered(self, wanted: JobFilter) -> JobFilter:
        """`wanted`, of what this caller may see."""
        if self.sees_all:
            return wanted
        return replace(wanted, visible_to=(self.name, self.tenants if self.role is Role.VIEWER else ()))

    def sees(self, job: JobRecord) -> bool:
        """Whether this job may be seen."""
        is_viewed = self.role is Role.VIEWER and under(job.tenant, self.tenants)
        return self.sees_all or job.user == self.name or is_viewed

    def check_sees(self, job: JobRecord | None, job_id: str) -> JobRecord:
        """The job, if there is one for this caller.

        Raises:
            NotFoundError: There is none, or it is not theirs.
        """
        if job is None or not self.sees(job):
            raise NotFoundError(f"there is no job '{job_id}'", next_step="'bedplate queue' lists yours")
        return job

    def check_cancels(self, job: JobRecord) -> None:
        """Let the end of a visible job be asked for.

        Raises:
            ForbiddenError: It is not theirs to end.
        """
        if not (self.sees_all or (self.role is Role.USER and job.user == self.name)):
            raise self._refused(f"cancel {job.id}", "its owner, an operator or an admin")

    def check_submits(self, tenant: str) -> None:
        """Let a job of that tenant be submitted.

        Raises:
            ForbiddenError: It is not their tenant, or they may only look.
        """
        if self.role is Role.VIEWER:
            raise self._refused("submit jobs", "role user, operator or admin")
        if not (self.sees_all or under(tenant, self.own_tenants)):
            raise self._refused(f"submit to the tenant '{tenant}'", f"one of {', '.join(self.own_tenants)}, or below")

    @property
    def own_tenants(self) -> tuple[str, ...]:
        """Tenants that they belong to."""
        return self.tenants or (ROOT_TENANT,)

    def check_role(self, what: str, *roles: Role) -> None:
        """Let only these roles pass.

        Raises:
            ForbiddenError: The caller has another one.
        """
        if self.role not in roles:
            raise self._refused(what, f"role {' or '.join(roles)}")

    def _refused(self, what: str, expected: str) -> ForbiddenError:
        return ForbiddenError(
            f"{self.name} may not {what}", seen=f"role {self.role}", expected=expected, next_step="ask an admin of this service"
        )
