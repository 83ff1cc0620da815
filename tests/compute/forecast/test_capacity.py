"""Capacity that follows a forecast, and what it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.forecast.capacity import Quantiles, gang_devices, lendable, replicas_needed, serving_replicas
from bedplate.compute.forecast.replay import following, reactive, replay, static
from bedplate.core.errors import UsageError


def path(*highs: float, apart_s: float = 600.0) -> list[Quantiles]:
    return [Quantiles(ahead_s=at * apart_s, low=0.0, middle=high / 2, high=high) for at, high in enumerate(highs)]


@pytest.mark.parametrize(("load", "count"), [(0, 0), (-3, 0), (10, 1), (10.1, 2), (30, 3)])
def test_replicas_carry_the_load(load: float, count: int) -> None:
    assert replicas_needed(load, 10) == count


def test_replicas_stay_within_bounds_and_bad_ones_are_refused() -> None:
    assert replicas_needed(0, 10, least=2) == 2 and replicas_needed(1000, 10, most=5) == 5
    with pytest.raises(UsageError):
        replicas_needed(1, 0)
    with pytest.raises(UsageError):
        replicas_needed(1, 1, least=3, most=2)


def test_a_peak_counts_as_soon_as_a_later_start_would_be_too_late() -> None:
    ahead = path(10, 10, 10, 90)
    assert serving_replicas(10, ahead, start_s=600, load_per_replica=10) == 1
    assert serving_replicas(10, ahead, start_s=1200, load_per_replica=10) == 9
    assert serving_replicas(55, ahead, start_s=600, load_per_replica=10) == 6


def test_quota_is_lent_until_the_owner_may_need_it() -> None:
    assert lendable(path(10, 20, 70, 95), capacity=100) == (90, 600)
    assert lendable(path(10, 20, 70, 95), capacity=100, units_wanted=20) == (20, 1800)
    assert lendable(path(10, 20), capacity=100, units_wanted=20) == (20, 600)
    assert lendable(path(90, 20), capacity=100, units_wanted=20) == (0, 0)
    assert lendable([], capacity=100) == (0, 0)


def test_a_gang_shrinks_before_the_peak_and_grows_after_it() -> None:
    assert gang_devices(path(10, 10, 10, 60), 64, resize_s=600, least=8, unit=8) == 48
    assert gang_devices(path(10, 10, 60), 64, resize_s=600, least=8, unit=8) == 0, "a peak between two entries comes in time"
    assert gang_devices(path(10, 10, 60), 64, resize_s=1200, least=8, unit=8) == 0
    assert gang_devices(path(40, 10, 10), 64, resize_s=1200, least=8, unit=8) == 24


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(0, 120), st.floats(0, 100))
def test_what_is_lent_is_never_needed_while_it_is_lent(highs: list[float], capacity: float, wanted: float) -> None:
    ahead = path(*highs)
    units, until_s = lendable(ahead, capacity, wanted)
    assert 0 <= units <= capacity
    assert all(item.high + units <= capacity + 1e-9 for item in ahead if item.ahead_s < until_s)


def test_a_start_takes_its_time_and_is_paid_for() -> None:
    load = np.array([1.0, 1, 3, 3, 3, 3])
    outcome = replay(load, reactive(load, 1.0, 0), 1, 1, 3600)
    assert outcome.attained_frac == pytest.approx(3 / 5)  # the jump is seen after step 2, and served from step 4
    assert outcome.device_hours == 1 + 1 + 3 + 3 + 3
    assert replay(load, static(3), 1, 1, 3600).attained_frac == 1


def test_one_who_knows_the_load_serves_it_all_for_less_than_the_peak() -> None:
    load = 10 + 5 * np.sin(np.arange(200) / 10)
    known = np.maximum(np.roll(load, -1), np.roll(load, -2))
    ours, peak = (replay(load[:190], policy, 1, 20, 600) for policy in (following(known), static(16)))
    assert ours.attained_frac == 1 and ours.device_hours < 0.85 * peak.device_hours


def test_the_autoscaler_holds_for_its_window() -> None:
    policy = reactive(np.array([10.0, 2, 2, 2]), 1.0, 2)
    assert [policy(at) for at in range(4)] == [10, 10, 10, 2]


@pytest.mark.parametrize("unknown", [float("nan"), float("inf")])
def test_what_is_not_known_takes_nothing_away_from_serving(unknown: float) -> None:
    ahead = path(3, unknown, 3)
    with pytest.raises(UsageError, match="not known"):
        serving_replicas(unknown, [], 60, 10)
    with pytest.raises(UsageError, match="not known"):
        serving_replicas(5, ahead, 900, 10)
    assert lendable(ahead, 10, 4) == (4, 600)
    assert gang_devices(ahead, 16, 900, least=2) == 0
