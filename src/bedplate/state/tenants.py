"""Tenants and their quotas, as an administrator set them."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import tenants
from bedplate.state.job_records import TenantRecord


class TenantStore:
    """The table of tenants. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[TenantRecord, ...]:
        """Every tenant that was set, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(tenants).order_by(tenants.c.name)).mappings()
            return tuple(record_from(TenantRecord, row) for row in rows)

    def set(self, tenant: TenantRecord) -> None:
        """Set a tenant's quota, whatever it was before."""
        values = {
            "name": tenant.name,
            "guaranteed": dict(tenant.guaranteed),
            "limit": dict(tenant.limit),
            "weight": tenant.weight,
        }
        with self._database.writing() as connection:
            self._database.serialise(connection, "tenants")
            connection.execute(delete(tenants).where(tenants.c.name == tenant.name))
            connection.execute(insert(tenants).values(values))

    def remove(self, name: str) -> bool:
        """Set nothing for a tenant any more; False where nothing was set."""
        with self._database.writing() as connection:
            return connection.execute(delete(tenants).where(tenants.c.name == name)).rowcount == 1
