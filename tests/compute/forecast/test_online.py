"""The forecast while values arrive."""

import numpy as np
import pytest

from bedplate.compute.forecast import boosting
from bedplate.compute.forecast.online import OnlineForecaster
from bedplate.compute.forecast.series import DemandSeries
from bedplate.core.errors import UnavailableError, UsageError
from tests.compute.forecast.demands import HOUR_S, MONDAY_S, daily_wave

pytest.importorskip("lightgbm", reason="the extra `forecast` is not installed")


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "_NUM_DRAWN", 16)
    monkeypatch.setattr(boosting, "_DRAWN_ROWS", 3000)
    monkeypatch.setattr(boosting, "_ROUNDS", 25)
    boosting._drawn_rows.cache_clear()


def fed(values: np.ndarray, **settings: float) -> OnlineForecaster:
    forecaster = OnlineForecaster(step_s=HOUR_S, horizons_s=[HOUR_S, 6 * HOUR_S], **settings)
    for at, value in enumerate(values):
        forecaster.observe(MONDAY_S + at * HOUR_S, float(value))
    return forecaster


def test_it_forecasts_a_wave_and_knows_that_it_is_good() -> None:
    values = daily_wave(days=15)
    forecaster, error, naive = fed(values[: 12 * 24]), [], []
    for at in range(12 * 24, len(values) - 6, 7):
        said = forecaster.forecast(6 * HOUR_S)
        assert said.low <= said.middle <= said.high
        now = at - 1
        error.append(abs(said.middle - values[now - 1 + 6]))  # the hour that began last is not complete
        naive.append(abs(values[now - 1] - values[now - 1 + 6]))
        for step in range(at, at + 7):
            forecaster.observe(MONDAY_S + step * HOUR_S, float(values[step]))
    assert np.mean(error) < 0.5 * np.mean(naive)
    confidence = forecaster.confidence(6 * HOUR_S)
    assert not confidence.is_naive and confidence.skill_frac is not None and confidence.skill_frac > 0
    assert confidence.coverage_80_frac is not None and confidence.coverage_80_frac > 0.6


def test_it_falls_back_where_nothing_beats_the_naive() -> None:
    confidence = fed(np.full(12 * 24, 3.0)).confidence(HOUR_S)
    assert confidence.is_naive and confidence.coverage_80_frac == 1


def test_between_its_horizons_it_interpolates_from_the_present_on() -> None:
    forecaster = fed(daily_wave(days=10))
    now, one, three, six = (forecaster.forecast(hours * HOUR_S) for hours in (0, 1, 3.5, 6))
    assert now.low == now.high
    assert three.middle == pytest.approx((one.middle + six.middle) / 2)


def test_fits_are_rationed(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = boosting.fit

    def counted(series: list[DemandSeries], num_known: int, lead: int) -> boosting.BoostedQuantiles:
        fits.append(lead)
        return fit(series, num_known, lead)

    monkeypatch.setattr(boosting, "fit", counted)
    forecaster = fed(daily_wave(days=9), refit_every_s=86_400)
    for at in range(9 * 24, 9 * 24 + 24, 2):
        for step in (at, at + 1):
            forecaster.observe(MONDAY_S + step * HOUR_S, 1.0)
        forecaster.forecast(HOUR_S)
    assert fits == [1, 6]


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(UsageError, match="multiples"):
        OnlineForecaster(step_s=HOUR_S, horizons_s=[1.5 * HOUR_S])
    forecaster = fed(np.ones(3))
    with pytest.raises(UnavailableError, match="too little history"):
        forecaster.forecast(HOUR_S)
    with pytest.raises(UsageError, match="in order"):
        forecaster.observe(MONDAY_S, 1.0)
    with pytest.raises(UsageError, match="finite"):
        forecaster.observe(MONDAY_S + 9e9, float("nan"))
    with pytest.raises(UsageError, match="out of range"):
        forecaster.forecast(1e9)
