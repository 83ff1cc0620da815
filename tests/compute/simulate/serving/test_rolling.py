"""Forecasts that are made at once: none of them knows what came after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bedplate.compute.capacity.following import Following
from bedplate.compute.forecast.series import DemandSeries
from bedplate.compute.simulate.serving.rolling import RollingForecasts
from bedplate.core.errors import UnavailableError

FOLLOW = Following(per_replica=1.0, start=0.0, every=3600.0, lend=0.0)


def test_what_is_said_does_not_depend_on_what_comes_and_is_nothing_at_first() -> None:
    hours = np.arange(12 * 24)
    values = 10 + 5 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(1).normal(0, 0.5, len(hours))
    series = DemandSeries(name="load", start_s=0.0, step_s=3600.0, values=values, latest=values)
    other = values.copy()
    other[-40:] = 99.0
    said = []
    for one in (series, replace(series, values=other, latest=other)):
        forecasts = RollingForecasts(one, FOLLOW, start_s=-1000.0)
        forecasts.observe(-1000.0 + 3600.0, 10.0)
        with pytest.raises(UnavailableError):
            forecasts.forecast(3600.0)
        forecasts.observe(-1000.0 + 3600.0 * (len(values) - 40), float(values[-41]))
        said.append((forecasts.forecast(3600.0), forecasts.confidence(3600.0)))
    assert said[0] == said[1]
    assert said[0][0].high > said[0][0].low and said[0][1].coverage_80_frac is not None
