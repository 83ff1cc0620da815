"""`priority`: higher priority first, and one level up for every `aging` that a job waits, so that none waits forever.

Time is cut into windows as long as `aging`; jobs of one window and one priority are equal, and the next rule decides among
them. A job of the window before is equal to one of the next higher priority: that never changes while both wait.
"""

from __future__ import annotations

import math

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.queue.base import JobRule
from bedplate.compute.scheduler.settings import SchedulerSettings


def make_rule(settings: SchedulerSettings) -> JobRule:
    """See the file's header."""
    return _Priority(settings.aging)


class _Priority:
    def __init__(self, aging_s: float) -> None:
        self._aging_s = aging_s

    def job_key(self, job: Job) -> float:
        """Window in which it was submitted, less its priority."""
        window = math.floor(job.submitted_s / self._aging_s) if self._aging_s else 0
        return float(window - job.priority)
