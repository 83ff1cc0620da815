"""What capacity should be, given a forecast: pure functions over plain numbers, for the scheduler and the service.

Three uses of one idea, that a quantile of demand says how much must be kept: serving replicas follow the upper quantile as far
ahead as starting one takes; quota is lent for as long as the owner's upper quantile leaves it idle; a training gang takes what
serving will not need until it can shrink again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Demand some time ahead."""

    ahead_s: float
    low: float
    """The 0.1 quantile."""
    middle: float
    high: float
    """The 0.9 quantile."""


def replicas_needed(load: float, load_per_replica: float, *, least: int = 0, most: int | None = None) -> int:
    """Replicas that carry `load`, within bounds; `load_per_replica` is what one carries within its latency target.

    Raises:
        UsageError: `load` is not known (keep the replicas that there are), `load_per_replica` is not positive, or the bounds
            cross.
    """
    if not math.isfinite(load):
        raise UsageError("the load is not known", seen=load, expected="a finite number", next_step="keep what there is")
    if not load_per_replica > 0:
        raise UsageError("a replica must carry something", seen=load_per_replica, expected="more than 0")
    if most is not None and most < least:
        raise UsageError("the bounds of the replicas cross", seen=f"{least} to {most}", expected="least <= most")
    needed = max(least, math.ceil(max(0.0, load) / load_per_replica - 1e-9))
    return needed if most is None else min(most, needed)


def serving_replicas(
    load_now: float,
    path: Sequence[Quantiles],
    start_s: float,
    load_per_replica: float,
    *,
    least: int = 0,
    most: int | None = None,
) -> int:
    """Replicas to have or to start now: for the highest load that may come before a replica started later would be ready.

    Args:
        load_now: The load at present; never less than this is carried.
        path: Demand ahead, nearest first; the first entry past `start_s` counts too, since a decision is taken only then.
        start_s: Time from the decision until a replica serves.
        load_per_replica: As `replicas_needed`.
        least: Lower bound.
        most: Upper bound.
    """
    return replicas_needed(_highest([load_now, *_until_next(path, start_s)]), load_per_replica, least=least, most=most)


def lendable(path: Sequence[Quantiles], capacity: float, units_wanted: float = 0.0) -> tuple[float, float]:
    """How much of `capacity` may be lent, and until when, in seconds from now.

    Args:
        path: The owner's demand ahead, nearest first, starting at the present (`ahead_s` 0).
        capacity: The owner's quota.
        units_wanted: What the borrower asks for; 0 lends all that is idle at present.

    Returns:
        Units (0 where nothing, or less than wanted, is idle) and how long they stay idle by the upper quantile; the end of
        the path where they are not needed within it.
    """
    if not path:
        return 0.0, 0.0
    idle = max(0.0, capacity - path[0].high)
    units = units_wanted or idle
    if units <= 0 or units > idle:
        return 0.0, 0.0
    needed = next((item.ahead_s for item in path if not capacity - item.high >= units), None)
    return units, path[-1].ahead_s if needed is None else needed


def gang_devices(path: Sequence[Quantiles], capacity: float, resize_s: float, *, least: int, unit: int = 1) -> int:
    """Devices for an elastic training gang beside serving: what serving leaves until the gang could be resized again.

    Args:
        path: Demand of serving in devices, nearest first; as `serving_replicas`, the first entry past `resize_s` counts too.
        capacity: Devices of both.
        resize_s: Time that a resize takes, checkpoint included: a gang shrinks this long before a peak.
        least: The smallest gang that makes progress; 0 is returned where less is left (the gang is preempted).
        unit: The gang's size is a multiple of this.
    """
    left = capacity - _highest(_until_next(path, resize_s))
    devices = int(left) // unit * unit if left > 0 else 0
    return devices if devices >= least else 0


def _until_next(path: Sequence[Quantiles], until_s: float) -> list[float]:
    """Upper quantiles until then, and the next one: a peak between two entries is not to be found too late."""
    return [item.high for item in path if item.ahead_s <= until_s] + [item.high for item in path if item.ahead_s > until_s][:1]


def _highest(values: Sequence[float]) -> float:
    """NaN where any is: what is not known may be the highest."""
    return math.nan if any(math.isnan(value) for value in values) else max(values, default=0.0)
