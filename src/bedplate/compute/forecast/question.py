"""What is asked of a forecast; separate from the answer, so that reading it loads no numerics."""

from __future__ import annotations

import enum
from typing import Annotated

from bedplate.core.errors import UsageError
from bedplate.core.settings import InputFile, Range, settings
from bedplate.core.units import Duration, parse_duration

MAX_HORIZON_S = 7 * 86_400.0


class Aggregate(enum.Enum):
    """What stands for a step."""

    MEAN = "mean"
    """Of its observations: for states such as devices in use. A step without one is a gap."""
    SUM = "sum"
    """Of its observations: for amounts, such as tokens of requests. A step without one is 0."""
    COUNT = "count"
    """Of its rows: for arrivals. A step without one is 0."""


@settings
class ForecastQuestion:
    """A question as people write it."""

    series: tuple[InputFile, ...]
    """CSV with a time column and numbers, also `.csv.gz`; several are learned from together."""
    column: str
    """The column that is forecast; `a+b` is the sum of two."""
    horizon: tuple[str, ...] = ("1h", "3h", "24h")
    """How far ahead; a list such as `1h,3h` too."""
    test_days: Annotated[float, Range(minimum=0.01)] = 7.0
    """Length of the test: the last days of the series, of which nothing is known before its time."""
    every: Duration | None = None
    """Length of a step; by default the trace's own, or 10 minutes where that is finer."""
    aggregate: Aggregate = Aggregate.MEAN
    """What stands for a step."""
    time: str | None = None
    """The time column; by default one with a usual name, else the first."""

    def __post_init__(self) -> None:
        if not self.series:
            raise UsageError("no series to forecast", expected="one file or more")
        self.horizons_s()

    def horizons_s(self) -> tuple[float, ...]:
        """The horizons in seconds, shortest first; raises UsageError if one cannot be read, or is not positive."""
        texts = [text.strip() for item in self.horizon for text in item.split(",")]
        found = sorted({parse_duration(text) for text in texts})
        if not found or found[0] <= 0 or found[-1] > MAX_HORIZON_S:
            raise UsageError("a horizon is out of range", seen=", ".join(texts), expected="more than 0, at most 7d")
        return tuple(found)
