import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from bedplate.scorecard.report.axis import axis, logarithmic_axis, tick_text


@given(some.floats(-1e9, 1e9, allow_subnormal=False), some.floats(-1e9, 1e9, allow_subnormal=False))
def test_round_ticks_hold_every_value(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assume(high == low or high - low > max(1e-290, 1e-6 * max(abs(low), abs(high))))
    found = axis(low, high, 0.0, 100.0)
    unseen = 1e-6 * (high - low) + 1e-9 * max(abs(low), abs(high)) + 1e-300  # far below a pixel
    assert found.ticks[0] <= low + unseen and found.ticks[-1] >= high - unseen
    assert 2 <= len(found.ticks) <= 12


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0)), (3, 3, (0, 1, 2, 3)), (0, 0, (0, 0.2, 0.4, 0.6, 0.8, 1))],
)
def test_ticks_are_numbers_that_people_count_in(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert axis(low, high, 0.0, 100.0).ticks == ticks


def test_places_run_from_end_to_end_and_no_further() -> None:
    found = axis(0.0, 10.0, 200.0, 100.0)
    assert (found.place(0), found.place(5), found.place(10), found.place(99)) == (200, 150, 100, 100)


@pytest.mark.parametrize(("value", "shown"), [(0.25, "0.25"), (3, "3"), (9000, "9000"), (45_000, "45k"), (1.2e9, "1.2G")])
def test_ticks_are_short(value: float, shown: str) -> None:
    assert tick_text(value) == shown


def test_a_tight_axis_ends_with_its_data_and_has_round_ticks_inside() -> None:
    found = axis(1.0, 64.0, 0.0, 100.0, num_ticks=6, is_tight=True)
    assert (found.place(1), found.place(64)) == (0, 100)
    assert found.ticks == (20, 40, 60)


def test_a_logarithmic_axis_has_a_tick_at_each_power_of_ten() -> None:
    found = logarithmic_axis(3.0, 2_000.0, 0.0, 400.0)
    assert found.ticks == pytest.approx((1, 10, 100, 1_000, 10_000))
    assert (found.place(1), found.place(100), found.place(10_000)) == pytest.approx((0, 200, 400))
    assert found.place(0) == 0


@given(some.floats(1e-9, 1e9), some.floats(1e-9, 1e9))
def test_a_logarithmic_axis_holds_every_value_with_few_ticks(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = logarithmic_axis(low, high, 0.0, 100.0)
    assert found.low <= low * (1 + 1e-6) and found.high >= high * (1 - 1e-6)
    assert 2 <= len(found.ticks) <= 9
