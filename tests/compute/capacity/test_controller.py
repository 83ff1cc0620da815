"""From load to replicas: static, reactive, by forecast, and which of them when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from bedplate.compute.capacity.controller import CapacityController
from bedplate.compute.capacity.following import CapacityMode, Following
from bedplate.compute.capacity.loans import Guarantee, Loan, loan_of
from bedplate.compute.forecast.capacity import Quantiles
from bedplate.compute.forecast.online import Confidence
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError

FOLLOW = Following(per_replica=10.0, start=600.0, most=10)


@dataclass(slots=True)
class Told:
    """A forecaster that says what it was told to."""

    high_by_horizon: dict[float, float]
    covered: float | None = 0.8
    has_history: bool = True

    def observe(self, at_s: float, value: float) -> None:
        pass

    def forecast(self, horizon_s: float) -> Quantiles:
        if not self.has_history:
            raise UnavailableError("too little history to forecast")
        high = self.high_by_horizon[horizon_s]
        return Quantiles(ahead_s=horizon_s, low=0.0, middle=high / 2, high=high)

    def confidence(self, horizon_s: float) -> Confidence:
        return Confidence(model="lightgbm", is_naive=False, coverage_80_frac=self.covered, skill_frac=0.2)


def controller(mode: CapacityMode, told: Told | None = None, **more: object) -> CapacityController:
    made = CapacityController((lambda _: told) if told else lambda _: Told({}))
    made.add("s", replace(FOLLOW, capacity=mode, **more))  # type: ignore[arg-type]
    return made


def forecaster(high: float, later: float | None = None) -> Told:
    """`high` as long as what is decided now must do, `later` after that."""
    near = [item for item in FOLLOW.horizons_s if item <= FOLLOW.ahead_s]
    return Told({item: high if item in near or later is None else later for item in FOLLOW.horizons_s})


def test_static_is_always_the_most() -> None:
    assert controller(CapacityMode.STATIC).target("s", 0.0).replicas == 10


def test_without_any_load_there_are_the_fewest() -> None:
    assert controller(CapacityMode.FORECAST, forecaster(50.0), least=3).target("s", 0.0).replicas == 3


def test_reactive_follows_the_last_load_at_its_target_and_gives_up_replicas_only_after_a_while() -> None:
    made = controller(CapacityMode.REACTIVE)
    seen = []
    for at_s, load in ((0.0, 16.0), (100.0, 33.0), (200.0, 8.0), (400.0, 8.0), (401.0, 8.0)):
        made.observe("s", at_s, load)
        seen.append(made.target("s", at_s).replicas)
    assert seen == [2, 5, 5, 5, 1]


def test_a_forecast_decides_by_the_highest_load_until_the_next_decision_serves() -> None:
    made = controller(CapacityMode.FORECAST, forecaster(47.0, later=90.0))
    made.observe("s", 0.0, 10.0)
    target = made.target("s", 0.0)
    assert (target.replicas, target.mode) == (5, CapacityMode.FORECAST)
    made.observe("s", 600.0, 61.0)
    assert made.target("s", 600.0).replicas == 7, "what is there now is carried, whatever was forecast"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (Told({}, has_history=False), "too little history"),
        (replace(forecaster(90.0), covered=0.4), "not sure of itself: 40%"),
        (replace(forecaster(90.0), covered=None), "no record yet"),
    ],
)
def test_a_forecast_that_is_not_sure_of_itself_is_not_followed(told: Told, why: str) -> None:
    made = controller(CapacityMode.FORECAST, told)
    made.observe("s", 0.0, 16.0)
    target = made.target("s", 0.0)
    assert (target.replicas, target.mode, target.loan) == (2, CapacityMode.REACTIVE, None)
    assert why in target.reason


def test_a_margin_is_added_to_the_highest_likely_load() -> None:
    made = controller(CapacityMode.FORECAST, forecaster(47.0), margin=0.25)
    made.observe("s", 0.0, 10.0)
    assert made.target("s", 0.0).replicas == 6


def test_bounds_hold() -> None:
    made = controller(CapacityMode.REACTIVE, least=2, most=4)
    for at_s, load, replicas in ((0.0, 0.0, 2), (1e4, 1e9, 4)):
        made.observe("s", at_s, load)
        assert made.target("s", at_s).replicas == replicas


def test_what_is_wrong_is_refused() -> None:
    made = controller(CapacityMode.REACTIVE)
    made.observe("s", 10.0, 1.0)
    for at_s, load in ((11.0, -1.0), (11.0, float("nan")), (11.0, float("inf")), (9.0, 1.0)):
        with pytest.raises(UsageError):
            made.observe("s", at_s, load)
    with pytest.raises(NotFoundError):
        made.observe("other", 0.0, 1.0)
    with pytest.raises(UsageError):
        Following(per_replica=1.0, least=3, most=2)
    with pytest.raises(UsageError):
        Following(per_replica=1.0, every=7_000.0)


GUARANTEE = Guarantee(tenant="serving", resource="H100", amount=20.0, per_replica=2.0)


def loan(highs: list[tuple[float, float]], wanted: int = 2, running: Loan | None = None, now: float = 1_000.0) -> Loan | None:
    path = [Quantiles(ahead_s=at_s, low=0.0, middle=0.0, high=high) for at_s, high in highs]
    return loan_of(GUARANTEE, path, wanted, load_per_replica=10.0, ahead_s=600.0, now=now, running=running)


def test_what_no_likely_load_needs_is_lent_until_replicas_must_start_for_it() -> None:
    assert loan([(3_600.0, 20.0), (10_800.0, 20.0)]) == Loan(tenant="serving", resource="H100", amount=16.0, until_s=11_200.0)
    assert loan([(3_600.0, 20.0), (10_800.0, 90.0)]) == Loan(tenant="serving", resource="H100", amount=16.0, until_s=4_000.0)
    assert loan([(3_600.0, 95.0), (10_800.0, 95.0)]) is None


def test_less_for_longer_is_lent_where_that_is_more_device_time() -> None:
    found = loan([(3_600.0, 20.0), (86_400.0, 60.0)])
    assert found == Loan(tenant="serving", resource="H100", amount=8.0, until_s=1_000.0 + 86_400.0 - 600.0)


def test_a_loan_is_never_taken_back() -> None:
    running = Loan(tenant="serving", resource="H100", amount=10.0, until_s=5_000.0)
    assert loan([(3_600.0, 95.0), (10_800.0, 95.0)], running=running) == running
    assert loan([(3_600.0, 95.0), (10_800.0, 95.0)], running=running, now=5_000.0) is None
    longer = loan([(3_600.0, 20.0), (10_800.0, 20.0)], running=running)
    assert longer is not None and longer.amount == 16.0 and longer.until_s == 11_200.0
