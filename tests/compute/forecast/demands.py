"""Small demand series and traces of them."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bedplate.compute.forecast.series import DemandSeries, Floats

MONDAY_S = 1_587_945_600.0
"""2020-04-27, 00:00 UTC."""
HOUR_S = 3600.0


def daily_wave(days: int = 21, noise: float = 0.05, seed: int = 0) -> Floats:
    """Hourly: busy by day, quiet by night, noise as a share of the level."""
    hours = np.arange(days * 24)
    wave = 50 * (1 + 0.6 * np.sin(2 * np.pi * hours / 24))
    return np.asarray(wave * np.exp(noise * np.random.default_rng(seed).normal(size=len(hours))))


def hourly(values: Sequence[float] | Floats, name: str = "demand") -> DemandSeries:
    values = np.asarray(values, dtype=float)
    return DemandSeries(name=name, start_s=MONDAY_S, step_s=HOUR_S, values=values, latest=values)


def write_trace(file: Path, values: Sequence[float] | Floats, step_s: float = HOUR_S) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("time", "gpus"))
        for at, value in enumerate(values):
            writer.writerow((datetime.fromtimestamp(MONDAY_S + at * step_s, UTC).isoformat(), value))
    return file
