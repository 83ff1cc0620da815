"""What the scheduler is told of jobs that run: when they end, by their progress; and how fast models turned out to be."""

from __future__ import annotations

from bedplate.app.control.book import JobBook
from bedplate.compute.scheduler.entry import Phase
from bedplate.state.store import StateStore

EVERY_S = 5.0
"""How often: progress is read with one query, and new speeds cost as much as all waiting jobs."""


def learn(book: JobBook, state: StateStore, now_s: float) -> None:
    """Tell the scheduler what is new, if it is time."""
    if now_s < book.learnt_at_s + EVERY_S:
        return
    book.learnt_at_s = now_s
    runs = {run.job_id: run for run in state.jobs.runs() if run.job_id in book.placed and run.job_id not in book.adrift}
    steps = state.steps.of_runs(tuple(run.run_id for run in runs.values())) if runs else {}
    for run in runs.values():
        left_s = book.progress.left_s(run.job_id, run.attempt, steps[run.run_id], now_s)
        if left_s is not None:
            _tell(book, run.job_id, left_s, now_s)
    book.progress.keep(frozenset(runs))
    if book.facts.have_changed():
        book.facts.tell_anew()
        book.scheduler.speeds_changed()


def _tell(book: JobBook, job_id: str, left_s: float, now_s: float) -> None:
    """The share of its work at which the scheduler, by its own rule, finds that a job ends in `left_s`."""
    entry = book.scheduler.entry(job_id)
    elapsed_s = now_s - entry.started_s
    if entry.phase is Phase.RUNNING and elapsed_s > 0:
        done_frac = (elapsed_s + left_s * entry.started_frac) / (elapsed_s + left_s)
        book.scheduler.progressed(job_id, done_frac, now_s)
