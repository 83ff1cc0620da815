"""What a job would take on each model: speed, time, money and energy, each with where it comes from; unknown is None."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.control.explain import Forecast, forecast
from bedplate.app.control.requests import Terms, job_of
from bedplate.app.control.views import models_of
from bedplate.compute.costs.prices import DevicePrice, Prices
from bedplate.compute.scheduler.job import Request
from bedplate.core.measurement import Provenance
from tests.app.control.service_under_test import ServiceUnderTest, node

A100, H100 = "A100-SXM4-80GB", "H100 80GB HBM3"
BOTH = Request(workers=1, devices=1, accelerators=(A100, H100))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    made = ServiceUnderTest(
        tmp_path,
        node("a", cards=(A100,)),
        node("h", cards=(H100,)),
        node("x", cards=("Nobody's 1",)),
        prices=Prices(currency="CNY", devices={"A100": DevicePrice(per_hour=10.0), "cpu": DevicePrice(per_hour=0.5)}),
    )
    yield made
    made.state.close()


def told(service: ServiceUnderTest, request: Request, terms: Terms) -> Forecast:
    job = job_of(service.job(service.submit(request, terms=terms)))
    with service.controller.book() as book:
        return forecast(book, job, service.clock.now())


def test_each_model_has_its_time_and_costs(service: ServiceUnderTest) -> None:
    found = told(service, BOTH, Terms(expected_s=7200.0))
    by_model = {item.model: item for item in found.models}
    assert list(by_model) == [H100, A100], "the faster one is preferred"
    slow, fast = by_model[A100], by_model[H100]
    assert slow.speed is not None and slow.speed.provenance is Provenance.PUBLISHED
    assert slow.lasts_s == pytest.approx(7200.0)
    assert fast.lasts_s is not None and fast.lasts_s < 5000.0
    assert fast.ends_at_s == pytest.approx(service.clock.now() + fast.lasts_s)
    assert slow.cost is not None and slow.cost.money is not None and slow.cost.joules is not None
    assert slow.cost.money.value == pytest.approx(20.0)
    assert slow.cost.joules.value == pytest.approx(400 * 7200.0)
    assert slow.cost.joules.provenance is Provenance.PUBLISHED
    assert fast.cost is not None and fast.cost.money is None
    assert fast.cost.without_price == (H100,)


def test_without_a_length_only_hours_have_costs(service: ServiceUnderTest) -> None:
    found = told(service, BOTH, Terms())
    slow = found.models[1]
    assert (slow.lasts_s, slow.ends_at_s, slow.cost) == (None, None, None)
    assert slow.hourly.money is not None
    assert slow.hourly.money.value == pytest.approx(10.0)


def test_a_model_that_nobody_knows_has_none_of_it(service: ServiceUnderTest) -> None:
    (item,) = told(service, Request(devices=1, accelerators=("Nobody's 1",)), Terms(expected_s=60.0)).models
    document = item.as_json()
    assert document["speed"] == {"value": None, "provenance": None, "samples": 0, "precision": ""}
    assert (document["lasts_s"], document["ends_at_s"], document["cost"]) == (None, None, None)
    assert item.hourly.joules is None
    assert item.units is not None and math.isclose(item.units.value, 1.0)


def test_work_on_processors_is_counted_by_the_core(service: ServiceUnderTest) -> None:
    (item,) = told(service, Request(workers=2), Terms(expected_s=3600.0)).models
    assert (item.model, item.speed, item.lasts_s) == ("", None, 3600.0)
    assert item.cost is not None and item.cost.money is not None
    assert item.cost.money.value == pytest.approx(1.0)
    assert item.cost.joules is None, "nobody knows what a core draws"


def test_a_running_job_is_told_of_what_it_has(service: ServiceUnderTest) -> None:
    job = service.start(BOTH, terms=Terms(expected_s=7200.0))
    with service.controller.book() as book:
        (item,) = models_of(book, service.job(job), service.clock.now())
    assert item.model == H100
    assert item.lasts_s is not None
    assert item.ends_at_s == pytest.approx(service.clock.now() + item.lasts_s)


def test_a_waiting_job_ends_after_the_one_before_it(service: ServiceUnderTest) -> None:
    one = Request(devices=1, accelerators=(A100,))
    service.start(one, terms=Terms(expected_s=100.0))
    waiting = service.submit(one, terms=Terms(expected_s=50.0))
    service.step(0.0)
    with service.controller.book() as book:
        (item,) = models_of(book, service.job(waiting), service.clock.now())
    assert item.ends_at_s == pytest.approx(service.clock.now() + 150.0)
