"""What a job would take on each model that it accepts: speed, time, money and energy; what is not known is None.

Costs count the job's own accelerators with all its workers, or its cores where it has none, for the time that is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bedplate.app.control.book import JobBook
from bedplate.compute.capabilities.figures import Figure
from bedplate.compute.capabilities.speed import Speed
from bedplate.compute.costs.cost import JobCost, Usage, cost_of
from bedplate.compute.costs.equivalence import Units
from bedplate.compute.costs.prices import CPU
from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.job import WHOLE
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEstimate:
    """What a job would take on one model, with all its workers."""

    model: str
    """Empty: processors."""
    speed: Speed | None
    """None: processors."""
    units: Units | None
    memory: Figure | None
    """Of each device, in bytes."""
    lasts_s: float | None
    """Seconds from its start; None where nobody said how long it runs, or the model's speed is not known."""
    ends_at_s: float | None
    """Seconds since the epoch, where it is known when it starts."""
    cost: JobCost | None
    """Of that time."""
    hourly: JobCost
    """Of one hour."""

    def as_json(self) -> JsonObject:
        """For an answer."""
        return {
            "model": self.model,
            "speed": None if self.speed is None else self.speed.as_json(),
            "units": None
            if self.units is None
            else {
                "value": self.units.value,
                "provenance": self.units.provenance.value if self.units.provenance else None,
                "source": self.units.source,
            },
            "memory": None if self.memory is None else self.memory.as_json(),
            "lasts_s": self.lasts_s,
            "ends_at_s": self.ends_at_s,
            "cost": None if self.cost is None else self.cost.as_json(),
            "cost_of_an_hour": self.hourly.as_json(),
        }


def estimates(book: JobBook, job_id: str, starts_at_s: float | None) -> tuple[ModelEstimate, ...]:
    """One for each model that a job accepts, in the order in which they are preferred; of one that runs, for what it runs on.

    Args:
        book: What the service knows.
        job_id: A job that waits or runs.
        starts_at_s: When one that waits starts; None where nobody knows.
    """
    return tuple(_estimates(book, book.scheduler.entry(job_id), starts_at_s))


def _estimates(book: JobBook, entry: Entry, starts_at_s: float | None) -> Iterator[ModelEstimate]:
    request, kind, facts = entry.job.request, entry.job.kind, book.facts
    running = entry.allocation
    for variant in entry.shape.variants:
        model = variant.model
        if running is not None and running.model != model:
            continue
        workers = request.workers if running is None else len(running.places)
        each = request.device_milli if model else request.cpu_milli
        amount = workers * each / WHOLE
        speed = facts.speed_of(kind, model) if model else None
        is_known = speed is None or speed.value is not None
        lasts_s = entry.duration_s(model, workers) if is_known else None
        ends_at_s = None if lasts_s is None or starts_at_s is None else starts_at_s + lasts_s
        if running is not None:
            ends_at_s = book.scheduler.expected_end_s(entry.job.id)
        yield ModelEstimate(
            model=model,
            speed=speed,
            units=facts.units(model) if model else None,
            memory=facts.memory(model) if model else None,
            lasts_s=lasts_s,
            ends_at_s=ends_at_s,
            cost=None if lasts_s is None else _cost(book, model, amount * lasts_s),
            hourly=_cost(book, model, amount * _HOUR_S),
        )


def _cost(book: JobBook, model: str, device_seconds: float) -> JobCost:
    usage = Usage(model=model or CPU, device_seconds=device_seconds, provenance=Provenance.SIMULATED)
    return cost_of([usage], book.facts.prices)
