"""What the boosted trees see at an origin: changes since then, levels, spread, phase; all relative to the series' own scale.

The scale is the mean absolute change over `lead` steps so far, so one model serves series of any unit. Windows are shares of a
day, so it serves steps of any length. Nothing looks past the origin.
"""

from __future__ import annotations

import numpy as np

from bedplate.compute.forecast.members import window_quantile
from bedplate.compute.forecast.naive import seasonal
from bedplate.compute.forecast.series import DAY_S, Floats, Ints

CALENDAR = 4
"""The last columns are the calendar; drawn series, which have none, leave them empty."""
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


def features(values: Floats, latest: Floats, origins: Ints, lead: int, steps_per_day: int, start_s: float | None) -> Floats:
    """One row an origin, shape (num_origins, num_features).

    Args:
        values: A series without gaps.
        latest: Live state at the end of each step.
        origins: Steps whose end is the present.
        lead: Steps ahead.
        steps_per_day: Steps of a day.
        start_s: Start of the first step, seconds since the epoch; None leaves the calendar empty.
    """
    day, week = steps_per_day, 7 * steps_per_day
    now = values[origins]
    unit = scale(values, lead)[origins]
    columns = [latest[origins] - now]
    columns += [now - _before(values, origins, lag) for lag in _shares(day, 144, 72, 48, 24, 12, 8, 4, 2, 1)]
    columns += [seasonal(values, origins, lead, day, back) - now for back in range(7)]
    columns.append(np.mean(columns[-7:], axis=0))
    columns += [seasonal(values, origins, lead, week, back) - now for back in range(2)]
    for period in (day, week):
        then = -(-lead // period) * period
        columns += [
            seasonal(values, origins, lead, period, back) - _before(values, origins, then + back * period) for back in (0, 1)
        ]
    for length in (*_shares(day, 24, 4, 1), 3 * day, week):
        mean, deviation = _moments(values, origins, length)
        columns += [mean - now, deviation]
    for length in (day, week):
        columns += [window_quantile(values, origins, length, level) - now for level in (0.0, 0.5, 1.0)]
    columns.append(now)
    scaled = np.stack(columns, axis=1) / unit[:, None]
    return np.column_stack([scaled, _unchanged_for(values)[origins] / day, _calendar(origins, lead, day, start_s)])


def scale(values: Floats, lead: int) -> Floats:
    """Mean absolute change over `lead` steps up to each step; 1 where there was none yet. Shape as `values`."""
    change = np.zeros(len(values))
    change[lead:] = np.abs(values[lead:] - values[:-lead]) if lead < len(values) else 0.0
    so_far = np.cumsum(change) / np.maximum(1, np.arange(len(values)) - lead + 1)
    return np.where(so_far > 0, so_far, 1.0)


def _shares(day: int, *parts: int) -> list[int]:
    """Lengths of a day's parts in steps, at least one, each once."""
    return [max(1, day // part) for part in parts]


def _before(values: Floats, origins: Ints, lag: int) -> Floats:
    at = origins - lag
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)


def _moments(values: Floats, origins: Ints, length: int) -> tuple[Floats, Floats]:
    """Mean and deviation of the `length` values that end at each origin, fewer at the start."""
    centre = values[0]  # against rounding; the mean would carry a trace of the future
    sums = np.concatenate([[0.0], np.cumsum(values - centre)])
    squares = np.concatenate([[0.0], np.cumsum((values - centre) ** 2)])
    begin = np.maximum(origins + 1 - length, 0)
    count = origins + 1 - begin
    mean = (sums[origins + 1] - sums[begin]) / count
    variance = (squares[origins + 1] - squares[begin]) / count - mean**2
    return mean + centre, np.sqrt(np.maximum(variance, 0.0))


def _unchanged_for(values: Floats) -> Floats:
    """Steps since the value last changed."""
    steps = np.arange(len(values))
    changed = np.diff(values, prepend=values[0]) != 0
    return (steps - np.maximum.accumulate(np.where(changed, steps, 0))).astype(float)


def _calendar(origins: Ints, lead: int, day: int, start_s: float | None) -> Floats:
    if start_s is None:
        return np.full((len(origins), CALENDAR), np.nan)
    step_s = DAY_S / day
    at_s = start_s + (origins + 1) * step_s
    target_s = at_s + lead * step_s
    weekday = (target_s // DAY_S + _EPOCH_WEEKDAY) % 7
    return np.stack([at_s % DAY_S / DAY_S, target_s % DAY_S / DAY_S, weekday, weekday >= 5], axis=1)
