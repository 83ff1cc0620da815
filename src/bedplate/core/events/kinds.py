"""The catalogue of events: every kind that bedplate emits, with its facts as a dataclass.

    make_event(CheckpointCopyFailed(step=40, reason="disk full"), at_s=now, message="step 40 was not copied to disk")

A kind's name is words in snake_case joined by dots, what it is about first: `checkpoint.copy_failed`. Names and fields are
stable: dashboards, alerts and the diagnosis chain read them. A use case of your own declares its kinds the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.events.catalogue import EVENT_KINDS as EVENT_KINDS
from bedplate.core.events.catalogue import event_kind as event_kind
from bedplate.core.events.catalogue import make_event as make_event
from bedplate.core.events.event import Severity
from bedplate.core.events.job_kinds import CapacityRetargeted as CapacityRetargeted
from bedplate.core.events.job_kinds import JobCancelled as JobCancelled
from bedplate.core.events.job_kinds import JobDone as JobDone
from bedplate.core.events.job_kinds import JobFailed as JobFailed
from bedplate.core.events.job_kinds import JobPlaced as JobPlaced
from bedplate.core.events.job_kinds import JobRefused as JobRefused
from bedplate.core.events.job_kinds import JobRequeued as JobRequeued
from bedplate.core.events.job_kinds import JobResized as JobResized
from bedplate.core.events.job_kinds import JobStopping as JobStopping
from bedplate.core.events.job_kinds import JobSubmitted as JobSubmitted
from bedplate.core.events.job_kinds import NodeDrained as NodeDrained
from bedplate.core.events.job_kinds import NodeJoined as NodeJoined
from bedplate.core.events.job_kinds import NodeLost as NodeLost
from bedplate.core.events.job_kinds import NodeUndrained as NodeUndrained
from bedplate.core.events.job_kinds import QuotaLent as QuotaLent
from bedplate.core.events.job_kinds import SchedulerStarted as SchedulerStarted
from bedplate.core.events.job_kinds import SchedulerStopped as SchedulerStopped
from bedplate.core.json import Json


@event_kind("step.started")
@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step of a run began."""

    use: str
    """Its use case."""


@event_kind("step.done")
@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step of a run ended well; its result is stored."""

    seconds: float


@event_kind("step.failed", Severity.ERROR)
@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step of a run failed."""

    code: str
    """Of the error: `BP400`."""
    seconds: float


@event_kind("step.cancelled")
@dataclass(frozen=True, slots=True, kw_only=True)
class StepCancelled:
    """A step of a run was ended on request."""

    reason: str
    """`SIGTERM`, `bedplate cancel`."""
    seconds: float


@event_kind("step.traceback", Severity.ERROR)
@dataclass(frozen=True, slots=True, kw_only=True)
class StepTraceback:
    """A step or the run raised an error that is not one of bedplate's; the message is its traceback."""

    error: str
    """Class of the error."""


@event_kind("task.started")
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted:
    """A process of a gang started."""

    gang: str
    rank: int
    node: str = ""
    pid: int | None = None
    cores: tuple[int, ...] = ()


@event_kind("task.exited")
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExited:
    """A process of a gang ended; a warning unless it finished or was cancelled."""

    gang: str
    rank: int
    cause: str = ""
    """One of `core.workload.ExitCause`: `finished`, `signal` …"""
    exit_code: int | None = None
    message: str = ""


@event_kind("task.node_lost", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNodeLost:
    """The machine under a process of a gang went away."""

    gang: str
    rank: int
    node: str = ""


@event_kind("checkpoint.committed", Severity.DEBUG)
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCommitted:
    """All ranks have saved their shards of a step."""

    step: int


@event_kind("checkpoint.copy_failed", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCopyFailed:
    """A checkpoint in memory was not copied to disk."""

    step: int
    reason: str


@event_kind("checkpoint.passed_over", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPassedOver:
    """A checkpoint could not be used on resuming; an older one is tried."""

    step: int
    reason: str


@event_kind("asset.fetched")
@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFetched:
    """A model or a text came into the cache from a package index or a hub."""

    asset: str
    """`model` or `text`."""
    name: str
    """As in the catalog or on the hub."""
    source: str
    """Where it came from: the package and its version, or the hub."""
    size_bytes: int
    """In the cache."""
    seconds: float
    digest: str
    """`sha256:…` of the file that the catalog names, or `blake2b:…` of a model's weights."""


@event_kind("compress.judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class CompressJudged:
    """A compressed model was held to the quality gate; a warning where it was refused."""

    scheme: str
    size_before_bytes: int
    size_after_bytes: int
    perplexity_rise_frac: float
    """0.01: the result's perplexity is 1 % above the original's."""
    max_perplexity_rise_frac: float
    """The gate."""
    is_accepted: bool


@event_kind("train.resumed")
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResumed:
    """Training continues from a checkpoint."""

    step: int
    store: str
    """`memory` or `disk`."""


@event_kind("train.step_skipped", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStepSkipped:
    """A step whose loss or gradient was not finite left the weights and the optimiser as they were."""

    step: int
    loss: float
    gradient_norm: float


@event_kind("train.failure", Severity.ERROR)
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFailure:
    """A worker was lost; the others start again from the last checkpoint."""

    rank: int
    cause: str
    detail: str = ""


@event_kind("preflight.slot_excluded", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightSlotExcluded:
    """Screening found a slot unfit and left it out of later placements."""

    node: str
    cores: tuple[int, ...]
    verdict: str
    reason: str


@event_kind("preflight.store_unfit", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightStoreUnfit:
    """Screening found a folder of the job too full, too slow, or broken."""

    store: str
    path: str
    reason: str


@event_kind("preflight.slot_disturbed", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightSlotDisturbed:
    """A slot was slow while other work took part of it, and is kept because the job wants as many slots."""

    node: str
    cores: tuple[int, ...]
    reason: str
    """What was measured."""


@event_kind("preflight.bad_link", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightBadLink:
    """Two slots are good by themselves, but not with each other."""

    slots: tuple[int, int]


@event_kind("inventory.probe_broken", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryProbeBroken:
    """A probe of devices failed or answered nonsense; its devices are missing."""

    probe: str
    detail: str


@event_kind("inventory.probe_hung", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryProbeHung:
    """A probe of devices gave no answer in time and was killed; its devices are missing."""

    probe: str
    detail: str


@event_kind("device.measured")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMeasured:
    """The rates of a device were measured."""

    model: str
    matmul_flops: Mapping[str, Json]
    """FLOP/s by precision; null where it could not be measured."""
    memory_bandwidth_bytes_per_s: float | None
    disturbed: tuple[str, ...] = ()
    """Precisions, and `copy`, whose rate is only a lower bound, since other work ran at the same time."""


@event_kind("host.check_failed", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheckFailed:
    """A check of `bedplate doctor` was not `ok`."""

    check: str
    status: str
    """`warn`, `fail` or `unknown`."""
    seen: str
    fix: str


@event_kind("service.started")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStarted:
    """A server listens."""

    url: str
    model: str


@event_kind("service.stopped")
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStopped:
    """A server ended; an error unless it was asked to."""

    reason: str


@event_kind("events.dropped", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class EventsDropped:
    """Events or samples were lost on their way into the state."""

    dropped: int
