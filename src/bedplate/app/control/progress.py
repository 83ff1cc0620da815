"""How long running jobs still run, by the progress of their runs' steps.

The rate is that of this attempt: what the running step gained between two looks, since its progress counts what earlier
attempts did too. Nothing is said as long as a step has not begun: nobody knows how long it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bedplate.state.records import Status, StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The first look at a step in an attempt."""

    attempt: int
    step: str
    at_s: float
    done_frac: float


class ProgressBook:
    """What was seen of each job. Has one owner."""

    def __init__(self) -> None:
        self._first: dict[str, _Look] = {}

    def left_s(self, job_id: str, attempt: int, steps: Sequence[StepRecord], now_s: float) -> float | None:
        """Seconds that a job still runs; None where its run does not say.

        Args:
            job_id: Which.
            attempt: Of the job, not of its steps.
            steps: Those of its run, as they are now.
            now_s: Now.
        """
        unfinished = [step for step in steps if step.status is not Status.DONE]
        if len(unfinished) != 1 or (done_frac := _done_frac(unfinished[0])) is None:
            return None
        first = self._first.get(job_id)
        if first is None or (first.attempt, first.step) != (attempt, unfinished[0].name):
            self._first[job_id] = _Look(attempt=attempt, step=unfinished[0].name, at_s=now_s, done_frac=done_frac)
            return None
        gained, seconds = done_frac - first.done_frac, now_s - first.at_s
        return (1 - done_frac) * seconds / gained if gained > 0 and seconds > 0 else None

    def keep(self, job_ids: frozenset[str]) -> None:
        """Forget all other jobs."""
        self._first = {job_id: look for job_id, look in self._first.items() if job_id in job_ids}


def _done_frac(step: StepRecord) -> float | None:
    if step.status is not Status.RUNNING or step.progress is None:
        return None
    done, total = step.progress.get("done"), step.progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(max(done / total, 0.0), 1.0)
