"""Means over time are exact, however the intervals widen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.simulate.replay.series import SeriesTable


def test_the_mean_of_each_interval_is_weighted_by_time() -> None:
    series = SeriesTable(1, step_s=10.0)
    series.values[0] = 4.0
    series.advance(5.0)
    series.values[0] = 8.0
    series.advance(25.0)
    assert series.points(0) == ((5.0, 15.0, 22.5), (6.0, 8.0, 8.0))
    assert series.integral(0) == 4 * 5 + 8 * 20


def test_the_number_of_intervals_stays_bounded_and_the_integral_exact() -> None:
    series = SeriesTable(2, step_s=1.0, most=8)
    for at in range(1, 1000):
        series.values[0] = float(at)
        series.advance(float(at))
    assert len(series.points(0)[0]) <= 8
    assert series.integral(0) == sum(range(1, 1000))
    assert series.integral(1) == 0


@given(changes=st.lists(st.tuples(st.floats(0, 100), st.floats(-50, 50)), min_size=1, max_size=50), step_s=st.floats(0.01, 50))
def test_the_integral_is_the_sum_of_value_and_time(changes: list[tuple[float, float]], step_s: float) -> None:
    series, now, expected = SeriesTable(1, step_s, most=16), 0.0, 0.0
    for seconds, value in changes:
        series.values[0] = value
        now, expected = now + seconds, expected + value * seconds
        series.advance(now)
    assert series.integral(0) == pytest.approx(expected, abs=1e-6)
    middles, means = series.points(0)
    assert list(middles) == sorted(middles) and all(-50.001 <= mean <= 50.001 for mean in means)
