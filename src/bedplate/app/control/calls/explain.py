"""Why a job waits, and what would happen to one that is not submitted, for people: the scheduler is asked, nothing changes.

The answers are those of `compute/scheduler/why.py`; what is added is what only the service knows: drains, and earlier ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bedplate.app.control.scheduling.book import JobBook
from bedplate.app.control.scheduling.carry_out import refusal_error
from bedplate.app.control.scheduling.estimates import ModelEstimate, estimates
from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import Job, Topology
from bedplate.compute.scheduler.jobs.entry import Entry
from bedplate.compute.scheduler.nodes.needs import Variant
from bedplate.compute.scheduler.why import Waiting, exceeded_limit, rejections, why
from bedplate.core.errors import UsageError, did_you_mean
from bedplate.core.json import JsonObject
from bedplate.core.units import format_duration

_TRIAL = "this-job"
_NODES = 8
"""Nodes of which it is said why each was rejected."""
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
    models: tuple[ModelEstimate, ...] = ()
    """What it would take on each model that it accepts, the preferred one first."""
    lines: tuple[str, ...] = ()
    """Why, for people."""

    def as_json(self) -> JsonObject:
        """For an answer."""
        return {
            "would": self.would,
            "nodes": list(self.nodes),
            "workers": self.workers,
            "model": self.model,
            "models": [item.as_json() for item in self.models],
            "lines": list(self.lines),
        }


def forecast(book: JobBook, job: Job, now_s: float) -> Forecast:
    """What the next pass would do with `job`, as things stand."""
    trial, scheduler = replace(job, id=_TRIAL), book.scheduler
    scheduler.submit(trial)
    try:
        found = _forecast(book, now_s)
        if found.would == "refuse":
            return found
        starts_at_s = now_s if found.would == "start" else why(scheduler, _TRIAL, now_s).earliest_start_s
        return replace(found, models=estimates(book, _TRIAL, starts_at_s))
    finally:
        scheduler.withdraw(_TRIAL)


def _forecast(book: JobBook, now_s: float) -> Forecast:
    decisions = decide(book.scheduler, now_s)
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
    return Forecast(would="wait", lines=reasons(book, _TRIAL, now_s, _NODES))


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
        error = refusal_error(Refuse(job_id=job.id, reason=reason, nearest=nearest))
        raise _with_guess(error, job.request.accelerators, book)


def _with_guess(error: UsageError, words: tuple[str, ...], book: JobBook) -> UsageError:
    """The same, with the model that a mistyped word may mean."""
    there = [model for model in book.scheduler.nodes.cluster.models if model]
    for word in words:
        if word not in there and (guess := did_you_mean(word, there, "")):
            return UsageError(error.what, seen=error.seen, expected=error.expected, next_step=guess)
    return error


def reasons(book: JobBook, job_id: str, now_s: float, num_nodes: int = 0) -> tuple[str, ...]:
    """Why a waiting job waits, for people.

    Args:
        book: What the service knows.
        job_id: A job that waits.
        now_s: Now.
        num_nodes: Of how many nodes to say why each was rejected. With any, the scheduler makes a pass to find out what stands
            against the job; without, only limits and free places are looked at, which is cheap enough for a list of jobs.
    """
    scheduler, record = book.scheduler, book.records.get(job_id)
    entry = scheduler.entry(job_id)
    lines = [f"it waits again: {record.why}"] if record is not None and record.why else []
    if num_nodes:
        lines += _of_pass(why(scheduler, job_id, now_s), now_s)
    elif entry.not_before_s > now_s:
        lines.append(f"it starts again in {format_duration(entry.not_before_s - now_s)} at the earliest")
    for variant in entry.shape.variants:
        what = f"{variant.model}: " if variant.model else ""
        over = exceeded_limit(scheduler, entry, variant)
        lines += [what + line for line in ([over] if over else _of_nodes(book, entry, variant, num_nodes))]
    return tuple(dict.fromkeys(lines))


def _of_pass(waiting: Waiting, now_s: float) -> Iterator[str]:
    """What the next pass does with it."""
    yield waiting.reason
    yield from waiting.details
    yield from waiting.quota
    if waiting.ahead:
        yield f"waiting jobs that are looked at before it: {waiting.ahead}"
    if waiting.earliest_start_s is not None and waiting.earliest_start_s > now_s:
        yield f"it starts in {format_duration(waiting.earliest_start_s - now_s)} at the latest, as things stand"


def _of_nodes(book: JobBook, entry: Entry, variant: Variant, num_nodes: int) -> Iterator[str]:
    """How many nodes fit and what rejects the others, then the first of those one by one."""
    answer = rejections(book.scheduler, entry, variant)
    topology = entry.job.request.topology
    where = "" if topology is Topology.ANY else f", {topology}"
    yield f"{answer}; needed: {entry.fewest} worker{'s' if entry.fewest > 1 else ''}{where}"
    if answer.num_fitting:
        yield "what is free is too little for all of its workers, or is kept for jobs before it"
    for node in list(answer.filter_of)[:num_nodes]:
        name = answer.cluster.nodes[node].name
        yield f"node {name} is drained: {book.drained[name]}" if name in book.drained else answer.text(node)


def without_others(text: str, may_see: Callable[[str], bool]) -> str:
    """`text` with the ids of jobs that its reader may not see left out."""
    return _JOB_ID.sub(lambda match: match[0] if may_see(match[0]) else "another job", text)
