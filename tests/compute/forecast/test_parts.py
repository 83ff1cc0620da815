"""The parts of a forecast: nothing looks ahead, intervals cover, measures are what they are defined to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.forecast.combination import combine
from bedplate.compute.forecast.features import features
from bedplate.compute.forecast.intervals import calibrated_end
from bedplate.compute.forecast.measures import coverage, in_sample_scale, pinball
from bedplate.compute.forecast.members import simple_forecasts
from bedplate.compute.forecast.naive import naive_forecasts
from bedplate.compute.forecast.prior import NUM_DAYS, drawn_series
from bedplate.compute.forecast.series import carried_forward
from bedplate.compute.forecast.statistical import theta_forecasts
from tests.compute.forecast.demands import MONDAY_S, daily_wave


@pytest.mark.parametrize(("lead", "day_back", "week_back"), [(3, 21, 165), (24, 0, 144), (30, 18, 138), (168, 0, 0)])
def test_naive_forecasts_are_the_last_day_and_week_that_are_known(lead: int, day_back: int, week_back: int) -> None:
    values, origin = np.arange(500.0), np.array([400])
    found = naive_forecasts(values, origin, lead, 24)
    assert [found[name][0] for name in ("persistence", "day", "week")] == [400, 400 - day_back, 400 - week_back]


def test_a_week_that_is_not_there_says_nothing() -> None:
    assert np.isnan(naive_forecasts(np.arange(48.0), np.array([40]), 3, 24)["week"]).all()


@settings(max_examples=20, deadline=None)
@given(lead=st.integers(1, 30), origin=st.integers(60, 180), seed=st.integers(0, 99))
def test_nothing_at_an_origin_depends_on_what_follows(lead: int, origin: int, seed: int) -> None:
    values = daily_wave(days=9, seed=seed)
    other = np.concatenate([values[: origin + 1], np.random.default_rng(seed).uniform(0, 1e3, len(values) - origin - 1)])
    at = np.array([origin])
    for one, two in zip(
        simple_forecasts(values, values, at, lead, 24).values(),
        simple_forecasts(other, other, at, lead, 24).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    seen = [features(item, item, at, lead, 24, MONDAY_S) for item in (values, other)]
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-9, atol=1e-9)


def test_weights_and_interval_ends_rest_on_known_targets_only() -> None:
    values, lead, origin = daily_wave(days=9), 5, 150
    origins = np.arange(len(values))
    members = simple_forecasts(values, values, origins, lead, 24)
    targets = np.concatenate([values[lead:], np.full(lead, np.nan)])
    changed = targets.copy()
    changed[origin - lead + 1 :] = 1e6
    for one, two in zip(
        combine(members, targets, lead, 24).values(), combine(members, changed, lead, 24).values(), strict=True
    ):
        np.testing.assert_allclose(one[: origin + 1], two[: origin + 1])
    for level in (0.1, 0.9):
        ends = [calibrated_end(members["persistence"], item, lead, 24, level) for item in (targets, changed)]
        np.testing.assert_array_equal(ends[0][: origin + 1], ends[1][: origin + 1])


def test_theta_does_not_look_ahead_and_learns_a_season() -> None:
    values = daily_wave(days=8, noise=0.02)
    other = values.copy()
    other[170:] = 0
    one, two = (theta_forecasts(item, 160, (6,), 24)[6] for item in (values, other))
    np.testing.assert_array_equal(one[160:170], two[160:170])
    known = np.arange(160, len(values) - 6)
    assert np.abs(one[known] - values[known + 6]).mean() < 0.3 * np.abs(values[known] - values[known + 6]).mean()


def test_intervals_cover_what_they_claim_after_the_noise_doubles() -> None:
    generator = np.random.default_rng(0)
    targets = generator.normal(size=6000) * np.where(np.arange(6000) < 3000, 1.0, 2.0)
    low, high = (calibrated_end(np.zeros(6000), targets, 3, 144, level) for level in (0.1, 0.9))
    for part in (slice(1000, 3000), slice(3600, 6000)):
        assert coverage(low[part], high[part], targets[part]) == pytest.approx(0.8, abs=0.03)


def test_measures() -> None:
    values = np.tile(np.arange(24.0), 4) + np.repeat([0, 1, 2, 3], 24)
    assert in_sample_scale(values, 24).value == 1 and in_sample_scale(values, 24).kind == "day-naive"
    assert in_sample_scale(np.array([1.0, 3.0, 5.0]), 24).kind == "one-step"
    constant = in_sample_scale(np.ones(100), 24)
    assert constant.of(0.0) == 0.0 and constant.of(1.0) is None
    assert pinball(np.array([1.0, 1.0]), np.array([2.0, 0.0]), 0.9) == pytest.approx((0.9 + 0.1) / 2)
    assert coverage(np.zeros(4), np.ones(4), np.array([0.0, 1.0, 2.0, np.nan])) == pytest.approx(2 / 3)


def test_drawn_series_are_demand_and_the_same_every_time() -> None:
    one, two = (list(drawn_series(8, 24, seed=3)) for _ in range(2))
    for values, again in zip(one, two, strict=True):
        np.testing.assert_array_equal(values, again)
        assert len(values) == NUM_DAYS * 24 and np.isfinite(values).all() and values.min() >= 0


def test_gaps_are_filled_with_what_was_known() -> None:
    assert carried_forward(np.array([1.0, np.nan, np.nan, 4.0])).tolist() == [1, 1, 1, 4]


def test_a_series_that_starts_later_than_others_is_forecast_from_there() -> None:
    values = daily_wave(days=9)
    late, full = np.concatenate([np.full(72, np.nan), values]), np.concatenate([np.full(72, values[0]), values])
    found = theta_forecasts(late, len(late) - 3, (5,), 24)[5]
    assert np.isfinite(found[-3:]).all()
    assert np.allclose(found[-3:], theta_forecasts(values, len(values) - 3, (5,), 24)[5][-3:])
    assert np.isnan(theta_forecasts(np.full(len(full), np.nan), 200, (5,), 24)[5]).all()


def test_what_arithmetic_leaves_is_no_scale() -> None:
    wave = 10 + 5 * np.sin(2 * np.pi * np.arange(1440) / 144)
    assert in_sample_scale(wave, 144).kind == "one-step"
    assert in_sample_scale(wave, 144).value > 0.01
    assert in_sample_scale(np.full(500, 0.1) + 1e-16 * np.arange(500), 144).value == 0
