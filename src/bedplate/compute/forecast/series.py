"""A demand series on a regular grid, made from observations at any times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bedplate.core.errors import UsageError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

DAY_S = 86_400.0
FINEST_DEFAULT_S = 600.0
"""Finer traces are averaged over this by default: ten minutes is what capacity can follow."""
MAX_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSeries:
    """Values on a grid; a step without an observation is NaN."""

    name: str
    start_s: float
    """Start of the first step, seconds since the epoch."""
    step_s: float
    """Length of a step; divides a day, or is a whole number of days."""
    values: Floats
    """Aggregate of each step, shape (num_steps,)."""
    latest: Floats
    """The last observation within each step, shape (num_steps,); the live state at its end."""
    notes: tuple[str, ...] = ()
    """What its reader should know of how it was read."""

    @property
    def steps_per_day(self) -> int:
        """At least 1."""
        return max(1, round(DAY_S / self.step_s))

    def __len__(self) -> int:
        return len(self.values)

    def until(self, num_steps: int) -> DemandSeries:
        """The first `num_steps` steps."""
        return replace(self, values=self.values[:num_steps], latest=self.latest[:num_steps])


def carried_forward(values: Floats) -> Floats:
    """Each NaN replaced by the last value before it, which is all that was known then; the first one must be a value."""
    last_seen = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return values[last_seen]


def regular(name: str, times_s: Floats, observed: Floats, step_s: float | None = None, aggregate: str = "mean") -> DemandSeries:
    """Put observations on a grid.

    Args:
        name: What is observed.
        times_s: Seconds since the epoch, any order, duplicates allowed.
        observed: One value a time; NaN where it is not known.
        step_s: Length of a step; the trace's own (median) distance by default, or ten minutes where that is finer.
        aggregate: `mean` of a step's observations, or their `sum` or `count`, which are 0 where there are none.

    Raises:
        UsageError: No value, a step that does not divide a day, one shorter than the trace's own, or too many steps.
    """
    order = np.argsort(times_s, kind="stable")
    times_s, observed = times_s[order], observed[order]
    known = ~np.isnan(observed)
    if not known.any():
        raise UsageError("the series has no value", seen=name, expected="one number or more")
    step_s = _step(times_s, step_s, aggregate)
    times_s, observed = times_s[known], observed[known]
    start_s = float(np.floor(times_s[0] / step_s) * step_s)
    at = ((times_s - start_s) // step_s).astype(np.int64)
    num_steps = int(at[-1]) + 1
    if num_steps > MAX_STEPS:
        raise UsageError(
            "the trace spans too many steps",
            seen=f"{num_steps} steps of {step_s:g} s",
            expected=f"at most {MAX_STEPS}",
            next_step="look for a wrong time stamp, or choose a longer --every",
        )
    counts = np.bincount(at, minlength=num_steps)
    sums = np.bincount(at, observed, minlength=num_steps)
    latest = np.full(num_steps, np.nan)
    latest[at] = observed
    if aggregate == "mean":
        with np.errstate(invalid="ignore"):
            values = np.where(counts > 0, sums / counts, np.nan)
    else:
        values = sums if aggregate == "sum" else counts.astype(float)
        latest = values
    return DemandSeries(name=name, start_s=start_s, step_s=step_s, values=values, latest=latest)


def _step(times_s: Floats, asked_s: float | None, aggregate: str) -> float:
    apart_s = np.diff(np.unique(times_s))
    own_s = float(np.sort(apart_s)[(len(apart_s) - 1) // 2]) if len(apart_s) else FINEST_DEFAULT_S
    if asked_s is None:
        if aggregate != "mean":
            return FINEST_DEFAULT_S
        return _dividing_a_day(max(own_s, FINEST_DEFAULT_S))
    divides = (asked_s >= DAY_S and asked_s % DAY_S == 0) or abs(DAY_S / asked_s - round(DAY_S / asked_s)) < 1e-9
    if asked_s < 1 or not divides:
        raise UsageError("the step must divide a day", seen=f"{asked_s:g} s", expected="a second or more, such as 10m or 1h")
    if aggregate == "mean" and asked_s < 0.99 * own_s:
        raise UsageError(
            "the step is shorter than the trace's own",
            seen=f"{asked_s:g} s",
            expected=f"{own_s:g} s or more",
            next_step="leave --every out",
        )
    return asked_s


def _dividing_a_day(step_s: float) -> float:
    """The shortest step of at least `step_s`, within a few percent, that divides a day; whole days above one."""
    if step_s > DAY_S / 2 * 1.02:
        return max(1.0, round(step_s / DAY_S)) * DAY_S
    return DAY_S / int(DAY_S / step_s * 1.0001)
