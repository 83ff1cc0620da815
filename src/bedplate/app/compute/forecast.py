"""`compute forecast`: demand forecast on the last days of a trace, for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bedplate.compute.forecast.question import ForecastQuestion as Settings
from bedplate.core.errors import UnavailableError
from bedplate.core.json import Json, JsonObject
from bedplate.core.reporter import NullReporter, Reporter

if TYPE_CHECKING:
    from bedplate.compute.forecast.evaluate import HorizonResult, SeriesResult

__all__ = ["ForecastResult", "Settings", "forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastResult:
    """One result a series."""

    series: Sequence[SeriesResult]

    def as_json(self) -> JsonObject:
        """The keys that others script against; with several series, `horizons` are medians over them."""
        first = self.series[0]
        if len(self.series) == 1:
            horizons: list[Json] = [item.as_json() for item in first.horizons]
        else:
            horizons = [_medians([item.horizons[at] for item in self.series]) for at in range(len(first.horizons))]
        models = [horizon.choice.model for item in self.series for horizon in item.horizons]
        return {
            "horizons": horizons,
            "model": models[0] if len(set(models)) == 1 else "by horizon and series",
            "series": [item.as_json() for item in self.series],
            "provenance": "replayed",
        }


def forecast(settings: Settings, reporter: Reporter | None = None) -> ForecastResult:
    """Forecast the last days of the series, as if they came one by one.

    Raises:
        NotFoundError, ConfigurationError: A trace is missing or cannot be read, with line and column.
        UsageError: A step, horizon or test that does not fit the trace.
        UnavailableError: The extra `forecast` is not installed.
    """
    try:
        import lightgbm  # noqa: F401  # several seconds of work would end here otherwise
        import statsforecast  # noqa: F401
    except ImportError as error:
        raise UnavailableError(
            "forecasting is not installed", seen=str(error), next_step="pip install 'bedplate[forecast]'"
        ) from error
    from bedplate.compute.forecast.evaluate import evaluate
    from bedplate.compute.forecast.reading import check_same_step, read_series

    reporter = reporter or NullReporter()
    series = [
        read_series(
            Path(file),
            settings.column,
            time=settings.time,
            step_s=settings.every,
            aggregate=settings.aggregate.value,
        )
        for file in settings.series
    ]
    check_same_step(series)
    return ForecastResult(series=evaluate(series, settings.horizons_s(), settings.test_days, reporter))


def _medians(results: Sequence[HorizonResult]) -> JsonObject:
    """Of each figure over series, where it is known."""
    names = results[0].naive_mase
    return {
        "horizon_s": results[0].horizon_s,
        "mase": _median([item.mase for item in results]),
        "pinball": _median([item.pinball for item in results]),
        "coverage_80_frac": _median([item.coverage_80_frac for item in results]),
        "naive_mase": {name: _median([item.naive_mase[name] for item in results]) for name in names},
        "gain_frac": _median([item.gain_frac for item in results]),
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
