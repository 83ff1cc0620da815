"""`age`: first come, first served. A job that was preempted, or lost with a node, keeps its age."""

from __future__ import annotations

from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.queue.base import JobRule
from bedplate.compute.scheduler.settings import SchedulerSettings


def make_rule(settings: SchedulerSettings) -> JobRule:
    """See the file's header; `settings` have no effect."""
    return _Age()


class _Age:
    def job_key(self, job: Job) -> float:
        """When it was submitted."""
        return job.submitted_s
