"""Why a job waits, and what would happen to one that is not submitted: the scheduler is asked, and nothing changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from bedplate.app.control.book import JobBook
from bedplate.app.control.carry_out import refusal_error
from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import Job
from bedplate.core.json import JsonObject

_TRIAL = "this-job"
_JOB_ID = re.compile(r"\bjob-[0-9]+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would happen now."""

    would: str
    """`start`, `preempt` (others, and then start), `wait`, or `refuse`."""
    nodes: tuple[str, ...] = ()
    """Where it would start."""
    workers: int = 0
    model: str = ""
    lines: tuple[str, ...] = ()
    """Why, for people."""

    def as_json(self) -> JsonObject:
        """For an answer."""
        return {
            "would": self.would,
            "nodes": list(self.nodes),
            "workers": self.workers,
            "model": self.model,
            "lines": list(self.lines),
        }


def forecast(book: JobBook, job: Job, now_s: float) -> Forecast:
    """What the next pass would do with `job`, as things stand."""
    trial, scheduler = replace(job, id=_TRIAL), book.scheduler
    scheduler.submit(trial)
    try:
        decisions = decide(scheduler, now_s)
        for decision in decisions:
            if isinstance(decision, Refuse) and decision.job_id == _TRIAL:
                nearest = (f"nearest request that fits: {decision.nearest}",) if decision.nearest else ()
                return Forecast(would="refuse", lines=(decision.reason, *nearest))
            if isinstance(decision, Start) and decision.job_id == _TRIAL:
                places = decision.allocation.places
                return Forecast(
                    would="start",
                    nodes=tuple(dict.fromkeys(place.node for place in places)),
                    workers=len(places),
                    model=decision.allocation.model,
                    lines=(decision.reason,),
                )
        for_it = [item for item in decisions if isinstance(item, Preempt | Shrink) and item.beneficiary == _TRIAL]
        if for_it:
            return Forecast(would="preempt", lines=tuple(f"{item.job_id}: {item.reason}" for item in for_it))
        return Forecast(would="wait", lines=reasons(book, _TRIAL, now_s))
    finally:
        scheduler.withdraw(_TRIAL)


def check_satisfiable(book: JobBook, job: Job) -> None:
    """Refuse at once what nothing here can ever run.

    Raises:
        UsageError: With the nearest request that could be met.
    """
    trial, scheduler = replace(job, id=_TRIAL), book.scheduler
    scheduler.submit(trial)
    try:
        refused = scheduler.entry(_TRIAL).refusal
    finally:
        scheduler.withdraw(_TRIAL)
    if refused is not None:
        reason, nearest = refused
        raise refusal_error(Refuse(job_id=job.id, reason=reason, nearest=nearest))


def reasons(book: JobBook, job_id: str, now_s: float) -> tuple[str, ...]:
    """Why a job waits, for people."""
    record = book.records.get(job_id)
    return (record.why,) if record is not None and record.why else ("it waits for its turn, or for free places",)


def without_others(text: str, may_see: Callable[[str], bool]) -> str:
    """`text` with the ids of jobs that its reader may not see left out."""
    return _JOB_ID.sub(lambda match: match[0] if may_see(match[0]) else "another job", text)
