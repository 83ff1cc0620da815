"""A service whose replicas follow the load that is reported for it, beside elastic training."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.app.control.capacity import CapacityFollower, report_load
from bedplate.app.control.controller import Controller
from bedplate.app.control.requests import Terms, placed_from_json
from bedplate.app.pipeline.contract.needs import Needs
from bedplate.compute.capacity.controller import CapacityController
from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.compute.forecast.capacity import Quantiles
from bedplate.compute.forecast.online import Confidence
from bedplate.compute.scheduler.job import Request
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.core.errors import UsageError
from bedplate.state.job_records import Phase, TenantRecord
from tests.app.control.service_under_test import ServiceUnderTest, node

FOLLOW = Following(per_replica=10.0, target=1.0, most=5, hold=30.0, capacity=CapacityMode.REACTIVE)
REPLICA = Request(workers=1, min_workers=1, is_gang=False)


class ServingUnderTest(ServiceUnderTest):
    """Jobs that are services follow load here."""

    follower: CapacityFollower
    forecasts: CapacityController | None = None

    def restart(self) -> None:
        self.follower = CapacityFollower(self.state, self.forecasts)
        self.settings = SchedulerSettings(least_run=0.0)
        self.controller = Controller(
            state=self.state,
            nodes=lambda: tuple(self.nodes.values()),
            launcher=self.launcher,
            is_held=self.is_held,
            settings=self.settings,
            capacity=self.follower,
        )

    def follow(self, seconds: float = 1.0) -> None:
        """A look at the load, a pass that acts on it, and all restarts that follow."""
        self.follower.update()
        for _ in range(6):
            self.step(seconds)
            for job_id in list(self.launcher.attempts):
                if self.phase(job_id) is Phase.STOPPING:
                    self.launcher.end(job_id, Phase.CANCELLED)
                elif self.phase(job_id) is Phase.STARTING:
                    self.launcher.come_up(job_id)

    def workers(self, job: str) -> int:
        return placed_from_json(self.job(job).allocation or {}).num_workers

    def serve(self, following: Following = FOLLOW, **more: object) -> str:
        return self.start(REPLICA, priority=10, terms=Terms(kind="inference", replicas=following), **more)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServingUnderTest]:
    made = ServingUnderTest(tmp_path, node("a", cores=4), node("b", cores=4))
    yield made
    made.state.close()


def test_training_shrinks_when_load_rises_and_grows_when_it_falls(service: ServingUnderTest) -> None:
    serve = service.serve()
    train = service.start(Request(workers=8, min_workers=2))
    service.follow()
    assert (service.workers(serve), service.workers(train)) == (1, 7)
    report_load(service.state, service.job(serve), 42.0)
    service.follow()
    assert (service.workers(serve), service.workers(train)) == (5, 3)
    assert not service.job(train).num_crashes and "job.requeued" not in service.kinds(train), "shrunk, not preempted"
    service.clock.advance(100.0)
    report_load(service.state, service.job(serve), 15.0)
    service.follow()
    service.follow()
    assert (service.workers(serve), service.workers(train)) == (2, 6)
    events = [event for event in service.state.events.after() if event.kind == "capacity.retargeted"]
    assert [event.attributes["replicas"] for event in events] == [5, 2]
    assert "load 42" in events[0].message


def test_what_is_wanted_survives_a_restart_of_the_service(service: ServingUnderTest) -> None:
    serve = service.serve()
    service.follow()
    report_load(service.state, service.job(serve), 35.0)
    service.follow()
    assert service.workers(serve) == 4
    service.restart()
    service.step()
    service.step()
    assert (service.workers(serve), service.phase(serve)) == (4, Phase.RUNNING), "nothing is given back for want of a number"
    service.follow()
    assert service.workers(serve) == 4
    with service.controller.book() as book:
        assert book.wishes[serve].startswith("it wants 4 replicas (reactive): load 35")


def test_load_that_the_jobs_own_steps_report_counts_too(service: ServingUnderTest) -> None:
    serve = service.serve()
    service.state.jobs.set_run(serve, 1, "run-1")
    service.restart()
    sample = {"subject_kind": "step", "subject_id": "run-1/serve", "run_id": "run-1", "step": "serve", "labels": {}}
    service.state.append([], [{**sample, "name": "load", "at_s": service.clock.now(), "value": 30.0}])
    service.step()
    service.follow()
    assert service.workers(serve) == 3


class Told:
    """A forecaster that is sure that there will be no more than so much."""

    def observe(self, at_s: float, value: float) -> None:
        pass

    def forecast(self, horizon_s: float) -> Quantiles:
        return Quantiles(ahead_s=horizon_s, low=0.0, middle=5.0, high=18.0)

    def confidence(self, horizon_s: float) -> Confidence:
        return Confidence(model="lightgbm", is_naive=False, coverage_80_frac=0.8, skill_frac=0.3)


def test_guaranteed_quota_is_lent_while_it_is_not_needed(service: ServingUnderTest) -> None:
    service.forecasts = CapacityController(lambda _: Told())
    service.restart()
    service.state.tenants.set(TenantRecord(name="serving", guaranteed={"cpu": 6.0}))
    serve = service.serve(replace(FOLLOW, capacity=CapacityMode.FORECAST), tenant="serving")
    service.follow()
    report_load(service.state, service.job(serve), 4.0)
    service.follow()
    assert service.workers(serve) == 2
    lent = [event for event in service.state.events.after() if event.kind == "quota.lent"]
    assert lent and lent[-1].attributes["amount"] == 3.0, "of five replicas' cores"
    with service.controller.book() as book:
        quota = book.scheduler.ledger.tenants["serving"].quota
        assert quota.lent == {"cpu": 3.0} and quota.lent_until_s > service.clock.now()
    service.clock.advance(100_000.0)
    service.step()
    with service.controller.book() as book:
        assert not book.scheduler.ledger.tenants["serving"].quota.lent


def test_load_that_cannot_be_is_refused(service: ServingUnderTest) -> None:
    serve, plain = service.serve(), service.start(Request())
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError):
            report_load(service.state, service.job(serve), value)
    with pytest.raises(UsageError, match="follow load"):
        report_load(service.state, service.job(plain), 1.0)
    with pytest.raises(UsageError):
        report_load(service.state, service.job(serve), 1.0, at_s=service.clock.now() + 3_600)
    service.launcher.end(serve)
    service.step()
    with pytest.raises(UsageError, match="ended"):
        report_load(service.state, service.job(serve), 1.0)


def test_replicas_say_how_many_workers_there_are() -> None:
    needs = Needs(replicas=Following(per_replica=1.0, least=2, most=4))
    assert (needs.workers.want, needs.workers.min, needs.gang) == (2, 2, False)
    with pytest.raises(UsageError):
        Needs(replicas=Following(per_replica=1.0), count=2)
