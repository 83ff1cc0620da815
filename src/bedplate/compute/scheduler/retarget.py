"""A job wants another number of workers than it was submitted with: serving follows its load, training makes room for it.

What it holds stays as it is; the next decisions follow. A waiting job is looked at with its new numbers; one that runs with
more workers than it wants gives the newest back; one that runs with fewer than its least is entitled to them as a waiting job
is to its first ones (`scheduling_pass.py`), and grows into free places up to what it wants.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bedplate.compute.scheduler.entry import Entry, Phase
from bedplate.compute.scheduler.job_index import JobIndex
from bedplate.compute.scheduler.needs import fewest as fewest_of
from bedplate.compute.scheduler.unsatisfiable import refusal
from bedplate.core.errors import UsageError

if TYPE_CHECKING:
    from bedplate.compute.scheduler.job import Job
    from bedplate.compute.scheduler.state import SchedulerState


def retargeted(job: Job, workers: int, fewest: int) -> Job:
    """The same job with other numbers of workers; its work stays the same, so what it is expected to take changes.

    Raises:
        UsageError: There is no such request.
    """
    if not 1 <= fewest <= workers:
        raise UsageError(
            "no such number of workers",
            seen=f"{workers} workers, at least {fewest}",
            expected="one worker or more, and a minimum from 1 to their number",
        )
    before = job.request.workers
    return replace(
        job,
        request=replace(job.request, workers=workers, min_workers=fewest),
        expected_s=None if job.expected_s is None else job.expected_s * before / workers,
    )


def retarget(state: SchedulerState, index: JobIndex, entry: Entry, workers: int, fewest: int) -> None:
    """See `SchedulerState.retarget`."""
    job = retargeted(entry.job, workers, fewest)
    if job.request == entry.job.request and entry.floor == fewest:
        return
    if entry.phase is not Phase.WAITING:
        index.run_no_more(entry)
        _set(state, entry, job, fewest)
        index.run(entry)
        return
    was_refused = state.refused.pop(job.id, None) is not None
    if not was_refused:
        index.wait_no_more(entry)
    _set(state, entry, job, fewest)
    if was_refused and (why := refusal(state, entry)) is not None:
        entry.refusal, state.refused[job.id] = why, entry
        return
    entry.refusal = None
    index.wait(entry)


def _set(state: SchedulerState, entry: Entry, job: Job, fewest: int) -> None:
    entry.job, entry.shape, entry.key = job, state.catalog.shape_of(job), state.order.job_key(job)
    entry.fewest, entry.floor = fewest_of(job.request), fewest
