"""The catalogue of events: every kind that bedplate emits, with its facts as a dataclass.

    make_event(CheckpointCopyFailed(step=40, reason="disk full"), at_s=now, message="step 40 was not copied to disk")

A kind's name is words in snake_case joined by dots, what it is about first: `checkpoint.copy_failed`. Names and fields are
stable: dashboards, alerts and the diagnosis chain read them. A use case of your own declares its kinds the same way.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from bedplate.core.errors import NotFoundError, did_you_mean
from bedplate.core.events import Event, Severity, Subject
from bedplate.core.json import Json
from bedplate.core.messages import encode

Facts = TypeVar("Facts")

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One entry of the catalogue."""

    name: str
    severity: Severity
    """Of an event that does not say otherwise."""
    facts: type
    """Dataclass of its attributes."""

    @property
    def meaning(self) -> str:
        """What it means that it happened; one line."""
        return (self.facts.__doc__ or "").split("\n")[0]


_BY_NAME: dict[str, EventKind] = {}
_BY_FACTS: dict[type, EventKind] = {}

EVENT_KINDS: Mapping[str, EventKind] = MappingProxyType(_BY_NAME)
"""Every kind that is declared, by name."""


def event_kind(name: str, severity: Severity = Severity.INFO) -> Callable[[type[Facts]], type[Facts]]:
    """Declare the frozen dataclass below to be the facts of events of the kind `name`.

    Raises:
        ValueError: The name is taken, or not words in snake_case joined by dots.
        TypeError: The class is no frozen dataclass.
    """

    def declare(cls: type[Facts]) -> type[Facts]:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not words in snake_case joined by dots, like checkpoint.copy_failed")
        if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"{cls.__name__} is no frozen dataclass")
        known = _BY_NAME.get(name)
        if known is not None and (known.facts.__module__, known.facts.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"the event kind {name!r} is declared in {known.facts.__module__} already")
        _BY_NAME[name] = _BY_FACTS[cls] = EventKind(name=name, severity=severity, facts=cls)
        return cls

    return declare


def make_event(
    facts: Any,
    *,
    at_s: float,
    message: str = "",
    severity: Severity | None = None,
    subject: Subject | None = None,
    source: str = "",
) -> Event:
    """An event of the kind that `facts` belong to.

    Args:
        facts: An instance of a declared class; becomes the attributes.
        at_s: When; seconds since the epoch, or virtual seconds under the simulated engine.
        message: For people; one line.
        severity: Where it differs from the kind's.
        subject: What it is about; None: what the sink is for.
        source: The component that says so.

    Raises:
        NotFoundError: The class of `facts` is not in the catalogue.
    """
    kind = _BY_FACTS.get(type(facts))
    if kind is None:
        name = type(facts).__name__
        next_step = did_you_mean(name, [cls.__name__ for cls in _BY_FACTS], "declare it with @event_kind")
        raise NotFoundError(f"{name} is not the facts of any event kind", seen=facts, next_step=next_step)
    return Event(
        kind=kind.name,
        at_s=at_s,
        message=message,
        severity=severity or kind.severity,
        subject=subject,
        source=source,
        attributes=encode(facts),
    )


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
    """See `core.workload.ExitCause`."""
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
    """Precisions, and `copy`, whose rate is only a lower bound, since other work ran meanwhile."""


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
    """A server ended; an error unless it was told to."""

    reason: str


@event_kind("events.dropped", Severity.WARNING)
@dataclass(frozen=True, slots=True, kw_only=True)
class EventsDropped:
    """Events or samples were lost on their way into the state."""

    dropped: int
