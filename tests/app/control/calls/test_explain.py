"""Why a job waits, in words that name what is missing and where; and what would become of one that is not submitted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.control.calls.access import Caller, Role
from bedplate.app.control.calls.api import ControlApi
from bedplate.app.control.calls.explain import check_satisfiable, forecast, reasons
from bedplate.app.control.calls.paging import PageRequest
from bedplate.app.control.calls.submission import Submitter
from bedplate.app.control.scheduling.requests import job_of
from bedplate.app.control.settings import ServiceSettings
from bedplate.compute.scheduler.job import Request
from bedplate.core.errors import UsageError
from bedplate.state.job_records import Phase, TenantRecord
from bedplate.state.jobs import JobFilter
from tests.app.control.service_under_test import ServiceUnderTest, node

ALL = Request(workers=4, min_workers=4)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(tmp_path, node("a"), node("b", cards=("H100",)))
    yield made
    made.state.close()


def why(service: ServiceUnderTest, job: str) -> str:
    """As one job is shown; `bedplate queue -v` shows a line of it."""
    with service.controller.book() as book:
        return "\n".join(reasons(book, job, service.clock.now(), 8))


def test_nodes_are_named_with_what_they_lack(service: ServiceUnderTest) -> None:
    service.start(ALL)
    job = service.submit(Request(devices=1, accelerators=("H100",)))
    service.step()
    said = why(service, job)
    assert "0 of 2 nodes fit" in said
    assert "a: has 0 x no device, H100 is needed" in said
    assert "b: 0 of 2000 mCPU are free, 1000 needed" in said


def test_a_limit_is_named_with_its_tenant(service: ServiceUnderTest) -> None:
    service.state.tenants.set(TenantRecord(name="research", limit={"cpu": 1}))
    service.start(tenant="research/vision")
    job = service.submit(tenant="research/speech")
    service.step()
    assert service.phase(job) is Phase.WAITING
    assert "tenant 'research' would exceed its limit of 1 cores" in why(service, job)


def test_a_drained_node_is_named_with_the_reason(service: ServiceUnderTest) -> None:
    for name in "ab":
        service.state.drains.add(name, "a fan is loud", "ops")
    job = service.submit()
    service.step()
    assert "node a is drained: a fan is loud" in why(service, job)


def test_a_forecast_changes_nothing(service: ServiceUnderTest) -> None:
    job = service.submit()
    service.step()
    with service.controller.book() as book:
        other = job_of(service.job(job))
        told = forecast(book, other, service.clock.now())
        assert (told.would, told.workers, len(told.nodes)) == ("start", 1, 1)
        assert set(book.scheduler.entries) == {job}


def test_what_can_never_run_is_refused_with_the_nearest_request(service: ServiceUnderTest) -> None:
    job = service.submit(Request(workers=9, min_workers=9))
    with service.controller.book() as book, pytest.raises(UsageError, match="nothing here can ever run") as raised:
        check_satisfiable(book, job_of(service.job(job)))
    assert raised.value.expected


def test_a_job_is_told_how_many_go_before_it(service: ServiceUnderTest) -> None:
    service.start(ALL)
    service.submit(ALL)
    last = service.submit(ALL)
    service.step()
    assert "waiting jobs that are looked at before it: 1" in why(service, last)


def test_a_mistyped_model_is_answered_with_the_one_that_is_there(service: ServiceUnderTest) -> None:
    job = service.submit(Request(devices=1, accelerators=("H10",)))
    with service.controller.book() as book, pytest.raises(UsageError, match="nodes have H100") as raised:
        check_satisfiable(book, job_of(service.job(job)))
    assert raised.value.next_step == "did you mean 'H100'?"


def test_a_list_with_reasons_says_what_the_scheduler_knows_and_one_without_is_quick(service: ServiceUnderTest) -> None:
    for name in "ab":
        service.state.drains.add(name, "a fan is loud", "ops")
    for _ in range(2):
        service.submit()
    service.step()
    submitter = Submitter(state=service.state, controller=service.controller, settings=ServiceSettings(), wake=lambda: None)
    api = ControlApi.of(service.state, service.controller, submitter, lambda: None)
    admin = Caller(name="admin", role=Role.ADMIN, tenants=())
    explained = [item["why"] for item in api.jobs.page(admin, JobFilter(), PageRequest(order="oldest"), explain=True).items]
    assert all("node a is drained: a fan is loud" in str(text) for text in explained)
    assert "waiting jobs that are looked at before it: 1" in str(explained[1])
    plain = [item["why"] for item in api.jobs.page(admin, JobFilter(), PageRequest(order="oldest")).items]
    assert not any("is drained" in str(text) for text in plain)
