"""An elastic job gives places back and gets more: its process saves, ends, and is started with another number of workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.control.scheduling.requests import placed_from_json
from bedplate.compute.scheduler.job import Request
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.state.job_records import Phase
from tests.app.control.service_under_test import ServiceUnderTest, node

ELASTIC = Request(workers=4, min_workers=1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(tmp_path, node("a"), node("b"))
    made.settings = SchedulerSettings(least_run=0.0)
    made.restart()
    yield made
    made.state.close()


def workers(service: ServiceUnderTest, job: str) -> int:
    return placed_from_json(service.job(job).allocation or {}).num_workers


def test_it_starts_smaller_and_grows_when_there_is_room(service: ServiceUnderTest) -> None:
    rigid = service.start(Request(workers=3, min_workers=3))
    job = service.start(ELASTIC)
    assert workers(service, job) == 1
    service.launcher.end(rigid)
    service.step(120.0)
    assert service.phase(job) is Phase.STOPPING
    assert service.job(job).stop["why"] == "resized"  # type: ignore[index]
    service.launcher.end(job, Phase.CANCELLED)
    service.step()
    assert (service.phase(job), workers(service, job)) == (Phase.STARTING, 4)
    assert "job.resized" in service.kinds(job)
    cores = [(part.node, core) for part in service.launcher.placed[job].nodes for core in part.cores]
    assert sorted(cores) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_it_shrinks_for_a_job_of_higher_priority(service: ServiceUnderTest) -> None:
    job = service.start(ELASTIC)
    assert workers(service, job) == 4
    urgent = service.submit(Request(workers=2, min_workers=2), priority=10)
    service.step(120.0)
    assert service.phase(job) is Phase.STOPPING
    service.launcher.end(job, Phase.CANCELLED)
    service.step()
    service.step()
    assert {service.phase(urgent), service.phase(job)} == {Phase.STARTING}
    assert workers(service, job) <= 2
    held = [(part.node, core) for name in (job, urgent) for part in service.launcher.placed[name].nodes for core in part.cores]
    assert len(held) == len(set(held))


def test_a_resize_survives_a_restart_of_the_service(service: ServiceUnderTest) -> None:
    rigid = service.start(Request(workers=3, min_workers=3))
    job = service.start(ELASTIC)
    service.launcher.end(rigid)
    service.step(120.0)
    assert service.phase(job) is Phase.STOPPING
    service.restart()
    service.step()
    service.launcher.end(job, Phase.CANCELLED)
    service.step()
    assert (service.phase(job), workers(service, job)) == (Phase.STARTING, 4)
