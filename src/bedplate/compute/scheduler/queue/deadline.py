"""`deadline`: the least laxity first, that is the earliest time at which a job must have started to end before its deadline.

Laxity shrinks at the same pace for all that wait, so the latest start orders by it and does not change. Jobs without a
deadline come last. A job of unknown duration must have started at its deadline.
"""

from __future__ import annotations

import math

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.queue.base import JobRule
from bedplate.compute.scheduler.settings import SchedulerSettings


def make_rule(settings: SchedulerSettings) -> JobRule:
    """See the file's header; `settings` have no effect."""
    return _Deadline()


def latest_start_s(job: Job) -> float:
    """When a job must have started, at speed 1; infinity without a deadline."""
    return math.inf if job.deadline_s is None else job.deadline_s - (job.expected_s or 0.0)


class _Deadline:
    def job_key(self, job: Job) -> float:
        """Its latest start."""
        return latest_start_s(job)
