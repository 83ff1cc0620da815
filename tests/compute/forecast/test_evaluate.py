"""The whole forecast on series of every kind."""

from collections.abc import Iterator

import numpy as np
import pytest

from bedplate.compute.forecast import boosting, statistical, table
from bedplate.compute.forecast.evaluate import SeriesResult, evaluate
from bedplate.compute.forecast.naive import NAIVES
from bedplate.compute.forecast.series import Floats
from bedplate.core.errors import UsageError
from tests.compute.forecast.demands import HOUR_S, daily_wave, hourly

pytest.importorskip("lightgbm", reason="the extra `forecast` is not installed")


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fewer and smaller fits: the rules are under test, not the last percent."""
    monkeypatch.setattr(boosting, "_NUM_DRAWN", 16)
    monkeypatch.setattr(boosting, "_DRAWN_ROWS", 3000)
    monkeypatch.setattr(boosting, "_ROUNDS", 25)
    monkeypatch.setattr(statistical, "_APART_S", 86_400.0)
    monkeypatch.setattr(table, "REFIT_DAYS", 7)
    boosting._drawn_rows.cache_clear()
    yield
    boosting._drawn_rows.cache_clear()


def judged(values: Floats, lead: int = 3, test_days: float = 5) -> SeriesResult:
    return evaluate([hourly(values)], [lead * HOUR_S], test_days)[0]


def test_a_daily_wave_is_forecast_better_than_naively_and_within_the_intervals() -> None:
    (result,) = judged(daily_wave(days=24, noise=0.15), test_days=7).horizons
    assert result.gain_frac is not None and result.gain_frac > 0.05
    assert result.coverage_80_frac == pytest.approx(0.8, abs=0.1)
    assert result.choice.model not in NAIVES and result.num_targets == 7 * 24


def test_a_random_walk_is_left_to_persistence_or_hardly_worse() -> None:
    walk = 1000 + np.cumsum(np.random.default_rng(1).normal(size=24 * 24))
    (result,) = judged(walk).horizons
    assert result.gain_frac is not None and result.gain_frac > -0.1


ODD = {
    "constant": np.full(24 * 21, 7.0),
    "zeros": np.zeros(24 * 21),
    "negative": -daily_wave(days=21),
    "trend": np.arange(24.0 * 21),
    "level shift": daily_wave(days=21) + np.where(np.arange(24 * 21) > 24 * 18, 500.0, 0.0),
    "gaps": np.where(np.random.default_rng(0).random(24 * 21) < 0.3, np.nan, daily_wave(days=21)),
    "a long gap": np.where((np.arange(24 * 21) > 200) & (np.arange(24 * 21) < 350), np.nan, daily_wave(days=21)),
    "rare bursts": (np.random.default_rng(0).random(24 * 21) < 0.02) * 40.0,
    "huge": 1e12 * daily_wave(days=21),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_series_have_a_finite_answer(kind: str) -> None:
    values = ODD[kind].copy()
    values[0] = np.nan_to_num(values[0])
    (result,) = judged(values).horizons
    assert result.mase is not None and np.isfinite(result.mase)
    assert result.pinball is not None and np.isfinite(result.pinball)
    assert result.coverage_80_frac is not None and 0.4 <= result.coverage_80_frac <= 1
    if kind in ("constant", "zeros"):
        assert result.mase == 0 and result.coverage_80_frac == 1 and result.choice.model in NAIVES


def test_less_than_a_week_has_no_week_to_compare_with() -> None:
    (result,) = judged(daily_wave(days=5), test_days=1).horizons
    assert result.naive_mase["week"] is None and result.mase is not None


def test_the_future_does_not_change_the_past() -> None:
    values = daily_wave(days=16)
    whole = judged(values, test_days=2)
    changed = values.copy()
    changed[-24:] = 1e4
    for one, two in zip(whole.horizons, judged(changed, test_days=2).horizons, strict=True):
        assert one.choice == two.choice


@pytest.mark.parametrize(
    ("days", "lead", "test_days", "said"), [(3, 24, 1, "too short"), (9, 3, 9, "too short"), (9, 0.5, 2, "no multiple")]
)
def test_questions_that_do_not_fit_the_trace_are_refused(days: int, lead: float, test_days: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate([hourly(daily_wave(days=days))], [lead * HOUR_S], test_days)


def test_series_of_different_lengths_are_forecast_in_one_call() -> None:
    results = evaluate([hourly(daily_wave(days=12), "a"), hourly(daily_wave(days=14), "b")], [HOUR_S], 3)
    assert [item.name for item in results] == ["a", "b"]
