from pathlib import Path

import pytest

from bedplate.compute.capabilities.speed import SpeedTable
from bedplate.compute.costs.cost import JobCost, Usage, cost_of
from bedplate.compute.costs.equivalence import units_of
from bedplate.compute.costs.prices import DevicePrice, Prices, read_prices
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError
from bedplate.core.measurement import Provenance

FILE = """\
currency: CNY
energy_per_kwh: 0.8
overhead: 1.25
devices:
  A100: {per_hour: 12}
  910b3: {per_hour: 8, watts: 300, units: 0.9}
  cpu: {per_hour: 0.1, watts: 5}
"""
A100, HOUR = "NVIDIA A100-SXM4-80GB", 3600.0


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE)
    return read_prices(file)


def used(model: str = A100, hours: float = 1.0, watts: float | None = None) -> Usage:
    return Usage(model=model, device_seconds=hours * HOUR, provenance=Provenance.MEASURED, watts=watts)


def money(cost: JobCost) -> float:
    assert cost.money is not None
    return cost.money.value


def joules(cost: JobCost) -> float:
    assert cost.joules is not None
    return cost.joules.value


def test_a_price_is_found_by_spelling_model_and_family(prices: Prices) -> None:
    assert prices.of(A100).per_hour == prices.of("A100 80GB PCIe").per_hour == 12
    assert prices.of("Ascend910B3").per_hour == prices.of("910B3").per_hour == 8
    assert prices.of("910B4") == DevicePrice()


def test_money_is_device_time_and_energy(prices: Prices) -> None:
    cost = cost_of([used(hours=2.0, watts=320.0)], prices)
    assert joules(cost) == pytest.approx(2 * HOUR * 320 * 1.25)
    assert money(cost) == pytest.approx(2 * 12 + 2 * 0.320 * 1.25 * 0.8)
    assert cost.currency == "CNY"
    assert cost.joules is not None and cost.joules.provenance is Provenance.MEASURED


def test_rated_power_is_called_published(prices: Prices) -> None:
    cost = cost_of([used()], prices)
    assert joules(cost) == pytest.approx(400 * HOUR * 1.25)
    assert cost.joules is not None
    assert cost.joules.provenance is Provenance.PUBLISHED
    assert cost.joules.source.startswith("rated")
    assert cost.money is not None and cost.money.provenance is Provenance.PUBLISHED


@pytest.mark.parametrize(("model", "is_confirmed"), [(A100, True), ("H800", False)])
def test_what_follows_from_a_rated_power_that_nobody_confirmed_says_so(model: str, is_confirmed: bool) -> None:
    prices = Prices(currency="EUR", energy_per_kwh=0.8, devices={model: DevicePrice(per_hour=1.0)})
    cost = cost_of([used(model)], prices)
    assert cost.joules is not None and cost.joules.is_confirmed is is_confirmed
    assert cost.money is not None and cost.money.is_confirmed is is_confirmed


def test_power_that_the_user_wrote_comes_before_the_rated_one(prices: Prices) -> None:
    assert joules(cost_of([used("910B3")], prices)) == pytest.approx(300 * HOUR * 1.25)


def test_there_are_no_invented_prices() -> None:
    cost = cost_of([used()], Prices())
    assert cost.money is None
    assert cost.without_price == (A100,)
    assert joules(cost) == pytest.approx(400 * HOUR)


def test_one_missing_price_or_power_is_named_and_leaves_no_sum(prices: Prices) -> None:
    cost = cost_of([used(), used("BW1000")], prices)
    assert (cost.money, cost.joules) == (None, None)
    assert cost.without_price == cost.without_watts == ("BW1000",)


def test_a_job_on_several_types_is_their_sum(prices: Prices) -> None:
    one, other = used(watts=300.0), used("910B3", hours=3.0, watts=250.0)
    both = cost_of([one, other], prices)
    assert money(both) == pytest.approx(money(cost_of([one], prices)) + money(cost_of([other], prices)))
    assert joules(both) == pytest.approx(joules(cost_of([one], prices)) + joules(cost_of([other], prices)))


def test_a_plan_is_simulated_even_with_measured_power(prices: Prices) -> None:
    plan = Usage(model=A100, device_seconds=HOUR, provenance=Provenance.SIMULATED, watts=300.0)
    assert cost_of([plan], prices).as_json()["joules"] == {
        "value": pytest.approx(300 * HOUR * 1.25),
        "provenance": "simulated",
        "source": "measured while the job ran",
    }


def test_cost_per_token(prices: Prices) -> None:
    cost = cost_of([used(watts=400.0)], prices)
    per_money, per_joules = cost.per(1e6)
    assert per_joules == pytest.approx(400 * HOUR * 1.25 / 1e6)
    assert per_money == pytest.approx(money(cost) / 1e6)
    assert cost_of([used()], Prices()).per(10)[0] is None
    with pytest.raises(UsageError, match="divide"):
        cost.per(0)


def test_processors_are_counted_by_the_core(prices: Prices) -> None:
    assert money(cost_of([used("cpu", hours=10)], prices)) == pytest.approx(10 * 0.1 + 10 * 0.005 * 1.25 * 0.8)


def test_nothing_used_costs_nothing_known(prices: Prices) -> None:
    assert cost_of([], prices).money is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("currency: CNY\n", "", "currency"),
        ("per_hour: 12", "per_hour: -1", "per_hour"),
        ("overhead: 1.25", "overhead: 0.5", "overhead"),
        ("energy_per_kwh", "energy_per_kw", "energy_per_kw"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(FILE.replace(old, new))
    with pytest.raises(ConfigurationError, match=complaint):
        read_prices(file)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_prices(tmp_path / "none.yaml")


def test_time_below_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="no such use"):
        Usage(model=A100, device_seconds=-1.0, provenance=Provenance.MEASURED)


def test_units_are_relative_speed_unless_the_user_wrote_them(prices: Prices) -> None:
    speeds = SpeedTable.of()
    h100 = units_of("H100 80GB HBM3", speeds, prices)
    assert 2.5 < h100.value < 3.5
    assert h100.provenance is Provenance.PUBLISHED
    assert units_of("910B3", speeds, prices).value == 0.9
    assert units_of("H100 80GB HBM3", speeds, unit="H100 80GB HBM3").value == pytest.approx(1.0)


def test_an_unknown_model_counts_as_one_and_says_so() -> None:
    units = units_of("Secret 9000", SpeedTable.of())
    assert (units.value, units.provenance) == (1.0, None)
    assert "nothing is known" in units.source
