"""The catalogue of events, continued: jobs of the service, its nodes, its scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.core.events.catalogue import event_kind
from bedplate.core.events.event import Severity

__all__ = [
    "CapacityRetargeted",
    "JobCancelled",
    "JobDone",
    "JobFailed",
    "JobPlaced",
    "JobRefused",
    "JobRequeued",
    "JobResized",
    "JobStopping",
    "JobSubmitted",
    "NodeDrained",
    "NodeJoined",
    "NodeLost",
    "NodeUndrained",
    "QuotaLent",
    "SchedulerStarted",
    "SchedulerStopped",
]


@event_kind("job.submitted")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmitted:
    """A job was submitted, and waits."""

    user: str
    tenant: str
    name: str


@event_kind("job.refused", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class JobRefused:
    """A job asks for what nothing here can ever give."""

    reason: str
    nearest: str = ""
    """The nearest request that could be met."""


@event_kind("job.placed")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlaced:
    """A job got its places; its process is started there."""

    attempt: int
    nodes: tuple[str, ...]
    workers: int
    reason: str


@event_kind("job.stopping")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobStopping:
    """The process of a job was asked to save what it has and to end."""

    why: str
    """`preempted`, `cancelled`, `node_lost`, `resized`."""
    reason: str


@event_kind("job.requeued")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequeued:
    """A job that had started waits again, and will resume."""

    why: str
    """`preempted`, `node_lost`, `crashed`, `not_started`, `resized`."""
    reason: str


@event_kind("job.resized")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobResized:
    """An elastic job goes on with another number of workers."""

    workers_before: int
    workers: int
    reason: str


@event_kind("capacity.retargeted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRetargeted:
    """A service whose replicas follow its load wants another number of them."""

    replicas_before: int
    replicas: int
    mode: str
    """What that was taken from: `static`, `reactive` or `forecast`."""
    reason: str


@event_kind("quota.lent")
@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLent:
    """A part of a tenant's guarantee is not needed for a while, and what others borrow of it is not taken back meanwhile."""

    tenant: str
    resource: str
    amount: float
    until_s: float
    """Seconds since the epoch."""


@event_kind("job.done")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobDone:
    """A job finished."""

    seconds: float
    """Since its submission."""


@event_kind("job.failed", Severity.ERROR)
@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """A job failed."""

    code: str
    seconds: float


@event_kind("job.cancelled")
@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled:
    """A job was ended on request."""

    by: str
    seconds: float


@event_kind("node.joined")
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeJoined:
    """A node is there, or there again; work may be placed on it."""

    cores: int
    accelerators: int


@event_kind("node.lost", Severity.ERROR)
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost:
    """A node went away; jobs that had a worker there are placed again as a whole."""

    jobs: tuple[str, ...]


@event_kind("node.drained", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDrained:
    """A node gets no new work."""

    reason: str
    by: str


@event_kind("node.undrained")
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUndrained:
    """A node that was drained is used again."""

    by: str


@event_kind("scheduler.started")
@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStarted:
    """A scheduler took over this state."""

    waiting: int
    adopted: int
    """Jobs that ran without it in the meantime."""


@event_kind("scheduler.stopped", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStopped:
    """A scheduler decides no longer."""

    reason: str
