"""How the scheduler decides: everything that an operator may set."""

from __future__ import annotations

from typing import Annotated

from bedplate.core.settings import Range, settings
from bedplate.core.units import Duration


@settings
class SchedulerSettings:
    """Settings of the scheduler; each is a plain trade, told where it is used."""

    placement: str = "tight"
    """Placement policy of single workers: `tight`, `best-fit`, `fgd`, `rollout` …, or the module of your own."""
    order: tuple[str, ...] = ("priority", "fair", "deadline", "age")
    """Rules by which waiting jobs are ordered, the first one first: `priority`, `fair`, `deadline`, `shortest`, `age`, or
    modules of your own."""
    aging: Annotated[Duration, Range(0)] = 86_400.0
    """A waiting job rises by one level of priority in this time, so that none waits forever; 0 turns it off."""
    half_life: Annotated[Duration, Range(0)] = 0.0
    """Fair share counts what tenants hold, and as much again what they held on average, halved after this time; 0 counts what
    they hold only."""
    backfill: bool = True
    """Whether jobs may pass one that does not fit yet, as long as they do not delay it."""
    reservations: Annotated[int, Range(1, 64)] = 4
    """Number of blocked jobs that must not be delayed, the first ones in order."""
    depth: Annotated[int, Range(1)] = 200
    """Number of jobs that one pass looks at in vain, of those for which there may be room."""
    assumed: Annotated[Duration, Range(1)] = 3_600.0
    """How long a running job of unknown duration is assumed to go on at least."""
    preemption: bool = True
    """Whether running jobs may be asked to end, or to shrink, for others."""
    preemptions_per_hour: Annotated[int, Range(1)] = 2
    """A job is preempted no oftener for higher priority; only a tenant that wants its guarantee may do so."""
    backoff: Annotated[Duration, Range(0)] = 0.0
    """How long a preempted job waits at least before it starts again."""
    least_run: Annotated[Duration, Range(0)] = 60.0
    """A job that started or changed its size more recently is not grown, and not preempted for higher priority."""
    laxity: Annotated[Duration, Range(0)] = 600.0
    """A job whose last chance to meet its deadline is nearer goes before all of its priority."""
