"""Jobs of the service: what was submitted, and where each stands. The queue is this table.

What is written here is written by three: whoever submits or cancels (a row, a mark), the scheduler (phases and places, many in
one transaction), and the process of a job (that it runs, how it ended). The last may only write for its own attempt, so a
process that comes up late, after its places were given away, finds that it is not wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, desc, func, insert, or_, select, update

from bedplate.core.clock import Clock
from bedplate.core.json import JsonObject
from bedplate.state.database.connections import Database
from bedplate.state.database.rows import record_from, storable
from bedplate.state.database.tables import jobs
from bedplate.state.events import insert_events
from bedplate.state.job_records import FINAL, PLACED, JobRecord, NewJob, Phase, SpeedRecord
from bedplate.state.speeds import set_speeds

_OPEN = tuple(phase.value for phase in Phase if phase not in FINAL)
ORDERS = ("newest", "oldest")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows; what is None does not matter."""

    phases: tuple[Phase, ...] | None = None
    user: str | None = None
    name: str | None = None
    tenants: tuple[str, ...] | None = None
    """Only jobs of these tenants and those below them."""
    visible_to: tuple[str, tuple[str, ...]] | None = None
    """Only jobs of this user, or of these tenants and those below them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """Which run a job's process works on."""

    job_id: str
    attempt: int
    run_id: str


class JobStore:
    """The table of jobs. Thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(
        self, job: NewJob, events: Sequence[dict[str, Any]] = (), *, max_open: int | None = None
    ) -> tuple[JobRecord, bool] | None:
        """A new waiting job, and True; or the one of the same key that has not ended, and False.

        None where `max_open` jobs are open already.

        Args:
            job: What was submitted.
            events: Rows of events that are stored with it; their empty `subject_id` becomes the job's id.
            max_open: Jobs that may be open at the same time.
        """
        with self._database.writing() as connection:
            self._database.serialise(connection, "jobs")
            same = select(jobs).where(jobs.c.key == job.key, jobs.c.phase.in_(_OPEN)).limit(1)
            if (found := connection.execute(same).mappings().first()) is not None:
                return _one(found), False
            if max_open is not None:
                count = connection.scalar(select(func.count()).select_from(jobs).where(jobs.c.phase.in_(_OPEN)))
                if (count or 0) >= max_open:
                    return None
            number = (connection.scalar(select(func.max(jobs.c.number))) or 0) + 1
            job_id = f"job-{number}"
            connection.execute(insert(jobs).values(_row(job, number, self._clock.now())))
            insert_events(self._database, connection, [{**row, "subject_id": row["subject_id"] or job_id} for row in events])
            return _one(connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one()), True

    def get(self, job_id: str) -> JobRecord | None:
        """The job with this id."""
        return next(iter(self._records(select(jobs).where(jobs.c.id == job_id))), None)

    def opened(self) -> tuple[JobRecord, ...]:
        """Jobs that have not ended, in the order of submission."""
        return self._records(select(jobs).where(jobs.c.phase.in_(_OPEN)).order_by(jobs.c.number))

    def news(self, after: int) -> tuple[JobRecord, ...]:
        """Open jobs that a scheduler which has seen the number `after` must look at: new, cancelled, or ended by themselves."""
        placed = jobs.c.phase.in_([phase.value for phase in PLACED])
        is_news = or_(jobs.c.number > after, jobs.c.cancelled_by.is_not(None), and_(placed, jobs.c.outcome.is_not(None)))
        return self._records(select(jobs).where(jobs.c.phase.in_(_OPEN), is_news).order_by(jobs.c.number))

    def runs(self) -> tuple[JobRun, ...]:
        """The runs of jobs whose processes run."""
        query = select(jobs.c.id, jobs.c.attempt, jobs.c.run_id)
        query = query.where(jobs.c.phase == Phase.RUNNING.value, jobs.c.run_id.is_not(None))
        with self._database.reading() as connection:
            return tuple(JobRun(job_id=row[0], attempt=row[1], run_id=row[2]) for row in connection.execute(query))

    def page(
        self, wanted: JobFilter, *, order: str = "newest", after: int | None = None, limit: int = 100
    ) -> tuple[JobRecord, ...]:
        """At most `limit` jobs, in the order of submission or its reverse; with `after`, those that follow that number."""
        query = select(jobs).where(*_conditions(wanted)).limit(limit)
        if order == "newest":
            query = query.order_by(desc(jobs.c.number))
            query = query if after is None else query.where(jobs.c.number < after)
        else:
            query = query.order_by(jobs.c.number)
            query = query if after is None else query.where(jobs.c.number > after)
        return self._records(query)

    def count(self, wanted: JobFilter) -> Mapping[Phase, int]:
        """How many jobs are in each phase."""
        query = select(jobs.c.phase, func.count()).where(*_conditions(wanted)).group_by(jobs.c.phase)
        with self._database.reading() as connection:
            return {Phase(row[0]): int(row[1]) for row in connection.execute(query)}

    def request_cancel(self, job_id: str, by: str) -> None:
        """Ask for the end of a job that has not ended; the first who asks is kept."""
        query = update(jobs).where(jobs.c.id == job_id, jobs.c.phase.in_(_OPEN), jobs.c.cancelled_by.is_(None))
        with self._database.writing() as connection:
            connection.execute(query.values(cancelled_by=storable(by)))

    def change(
        self,
        changes: Sequence[JobChange],
        events: Sequence[dict[str, Any]] = (),
        speeds: Sequence[SpeedRecord] = (),
    ) -> None:
        """What a scheduler decided and learned, all of it or nothing: one transaction, whatever the number of decisions."""
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for item in changes:
            columns = tuple(sorted(item.values))
            by_columns.setdefault(columns, []).append(
                {"job_id": item.job_id, **{f"new_{k}": v for k, v in item.values.items()}}
            )
        with self._database.writing() as connection:
            for columns, rows in by_columns.items():
                query = update(jobs).where(jobs.c.id == bindparam("job_id"))
                connection.execute(query.values({name: bindparam(f"new_{name}") for name in columns}), rows)
            insert_events(self._database, connection, events)
            set_speeds(connection, speeds)

    def claim_start(self, job_id: str, attempt: int, runner: JsonObject) -> bool:
        """The process of an attempt runs from now on; False where it is not wanted: other places, another process, an end."""
        is_mine = and_(jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.phase == Phase.STARTING.value)
        with self._database.writing() as connection:
            done = connection.execute(update(jobs).where(is_mine).values(phase=Phase.RUNNING.value, runner=runner))
            return done.rowcount == 1

    def set_run(self, job_id: str, attempt: int, run_id: str) -> None:
        """Which run the process of an attempt works on."""
        with self._database.writing() as connection:
            connection.execute(
                update(jobs).where(jobs.c.id == job_id, jobs.c.attempt == attempt).values(run_id=run_id, is_new_run=False)
            )

    def set_outcome(self, job_id: str, attempt: int, outcome: JsonObject) -> None:
        """How the process of an attempt ended; what follows from it the scheduler decides."""
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id, jobs.c.attempt == attempt).values(outcome=outcome))

    def _records(self, query: Select[Any]) -> tuple[JobRecord, ...]:
        with self._database.reading() as connection:
            return tuple(_one(row) for row in connection.execute(query).mappings())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """New values of one job, by column."""

    job_id: str
    values: Mapping[str, Any]


def under(tenant: str, ancestors: Iterable[str]) -> bool:
    """Whether `tenant` is one of `ancestors` or below one of them."""
    return any(tenant == other or tenant.startswith(f"{other}/") for other in ancestors)


def _conditions(wanted: JobFilter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.phases is not None:
        conditions.append(jobs.c.phase.in_([phase.value for phase in wanted.phases]))
    if wanted.user is not None:
        conditions.append(jobs.c.user == wanted.user)
    if wanted.name is not None:
        conditions.append(jobs.c.name == wanted.name)
    if wanted.tenants is not None:
        conditions.append(_in_tenants(wanted.tenants))
    if wanted.visible_to is not None:
        user, tenants = wanted.visible_to
        conditions.append(or_(jobs.c.user == user, _in_tenants(tenants)))
    return conditions


def _in_tenants(tenants: tuple[str, ...]) -> Any:
    below = [jobs.c.tenant.startswith(f"{tenant}/", autoescape=True) for tenant in tenants]
    return or_(jobs.c.tenant.in_(tenants), *below)


def _row(job: NewJob, number: int, now_s: float) -> dict[str, Any]:
    return {
        "number": number,
        "id": f"job-{number}",
        "name": job.name,
        "key": job.key,
        "user": storable(job.user),
        "tenant": storable(job.tenant),
        "phase": Phase.WAITING.value,
        "priority": job.priority,
        "file": storable(job.file),
        "document": job.document,
        "request": job.request,
        "terms": job.terms,
        "is_new_run": job.is_new_run,
        "submitted_at_s": now_s,
    }


def _one(row: Any) -> JobRecord:
    return record_from(JobRecord, row, phase=Phase(row["phase"]))


def insert_jobs(connection: Connection, rows: Sequence[NewJob], first_number: int, now_s: float) -> None:
    """Many jobs at once, for benchmarks of a long queue."""
    connection.execute(insert(jobs), [_row(job, first_number + index, now_s) for index, job in enumerate(rows)])
