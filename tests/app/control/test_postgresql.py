"""The service on a state that machines share: the same way of a job, and a lock that the server can take away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bedplate.app.control.scheduler_lock import NAME, sole_scheduler
from bedplate.core.errors import LockLostError, UnavailableError
from bedplate.state.database.connections import lock_number
from bedplate.state.database.location import read_location
from bedplate.state.job_records import Phase
from bedplate.state.store import StateStore
from tests.app.control.service_under_test import ServiceUnderTest, node


@pytest.fixture
def service(tmp_path: Path, postgres_url: str) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(tmp_path, node("a"), node("b"), state=postgres_url)
    yield made
    made.state.close()


def another_machine(folder: Path, url: str) -> StateStore:
    """The same state, seen from a machine that shares no files with this one."""
    return StateStore.open(read_location(url, lambda: folder / "another-machine"))


def test_a_job_runs_and_survives_a_restart(service: ServiceUnderTest) -> None:
    job, waiting = service.start(), service.submit()
    service.restart()
    service.step()
    assert service.launcher.launched == [(job, 1), (waiting, 1)]
    for name in (job, waiting):
        service.launcher.end(name)
    service.step()
    assert {service.phase(name) for name in (job, waiting)} == {Phase.DONE}
    assert service.kinds(job) == ["job.placed", "job.done"]


def test_a_scheduler_on_another_machine_is_refused_by_name(
    service: ServiceUnderTest, tmp_path: Path, postgres_url: str
) -> None:
    other = another_machine(tmp_path, postgres_url)
    refusal = pytest.raises(UnavailableError, match="has a scheduler already")
    with sole_scheduler(service.state), refusal as refused, sole_scheduler(other):
        raise AssertionError("two schedulers")
    assert "process" in str(refused.value.seen)
    with sole_scheduler(other) as is_held:
        assert is_held()
    other.close()


def test_who_lost_the_session_and_finds_another_scheduler_decides_nothing(
    service: ServiceUnderTest, tmp_path: Path, postgres_url: str
) -> None:
    other = another_machine(tmp_path, postgres_url)
    with sole_scheduler(service.state) as is_held:
        service.is_held = is_held
        service.restart()
        service.step()
        cut_session_with_lock(other)
        with sole_scheduler(other):
            job = service.submit()
            with pytest.raises(LockLostError, match="another scheduler took over"):
                service.step()
            assert (service.phase(job), service.launcher.launched) == (Phase.WAITING, [])
        service.step()  # the other one has ended, and the lock is ours again
        assert service.launcher.launched == [(job, 1)]
    other.close()


def cut_session_with_lock(state: StateStore) -> None:
    """As a server that restarts, or a firewall, does it."""
    number = lock_number(f"run {NAME}")
    query = sqlalchemy.text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        " AND ((classid::bigint << 32) | objid::bigint) = :number"
    )
    with state.database.engine.begin() as connection:
        assert connection.execute(query, {"number": number}).scalar()
