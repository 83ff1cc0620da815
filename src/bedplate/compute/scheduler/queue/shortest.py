"""`shortest`: the shortest expected job first, which makes the mean wait shortest; jobs of unknown duration last.

Long jobs may wait forever behind it: put `priority` before it, whose aging ends that.
"""

from __future__ import annotations

import math

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.queue.base import JobRule
from bedplate.compute.scheduler.settings import SchedulerSettings


def make_rule(settings: SchedulerSettings) -> JobRule:
    """See the file's header; `settings` have no effect."""
    return _Shortest()


class _Shortest:
    def job_key(self, job: Job) -> float:
        """Expected duration."""
        return math.inf if job.expected_s is None else job.expected_s
