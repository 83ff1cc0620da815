"""Users of the service. Of a token only its digest is kept, so the state does not open the service to who can read it."""

from __future__ import annotations

from sqlalchemy import Select, delete, insert, select, update

from bedplate.core.clock import Clock
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from
from bedplate.state.database.tables import users
from bedplate.state.job_records import UserRecord


class UserStore:
    """The table of users. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def all(self) -> tuple[UserRecord, ...]:
        """Every user, by name."""
        return self._records(select(users).order_by(users.c.name))

    def get(self, name: str) -> UserRecord | None:
        """The user of this name."""
        return next(iter(self._records(select(users).where(users.c.name == name))), None)

    def with_token(self, token_digest: str) -> UserRecord | None:
        """Whose token has this digest."""
        return next(iter(self._records(select(users).where(users.c.token_digest == token_digest))), None)

    def add(self, name: str, role: str, tenants: tuple[str, ...], token_digest: str) -> UserRecord | None:
        """A new user; None where there is one of this name."""
        now_s = self._clock.now()
        row = {
            "name": name,
            "role": role,
            "tenants": list(tenants),
            "token_digest": token_digest,
            "created_at_s": now_s,
        }
        with self._database.writing() as connection:
            self._database.serialise(connection, "users")
            if connection.execute(select(users.c.name).where(users.c.name == name)).first() is not None:
                return None
            connection.execute(insert(users).values(row))
        return UserRecord(name=name, role=role, tenants=tenants, created_at_s=now_s)

    def set_token(self, name: str, token_digest: str) -> None:
        """Another token for a user; the one before is no longer valid."""
        with self._database.writing() as connection:
            connection.execute(update(users).where(users.c.name == name).values(token_digest=token_digest))

    def remove(self, name: str) -> bool:
        """Take a user's rights; False where there is none of this name. The jobs stay."""
        with self._database.writing() as connection:
            return connection.execute(delete(users).where(users.c.name == name)).rowcount == 1

    def _records(self, query: Select[tuple[object, ...]]) -> tuple[UserRecord, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings()
            return tuple(record_from(UserRecord, row, tenants=tuple(row["tenants"])) for row in rows)
