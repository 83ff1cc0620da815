"""What happened, and how much: the two streams that every part writes and operations reads."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.core.errors import check_known
from bedplate.core.json import Json


class Severity(enum.StrEnum):
    """How much attention an event needs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SubjectKind(enum.StrEnum):
    """What an event can be about."""

    RUN = "run"
    STEP = "step"
    """Of a run; its id is `RUN/STEP`."""
    JOB = "job"
    """Of the service; a job has one run, and a run of the service one job."""
    NODE = "node"
    DEVICE = "device"
    LINK = "link"
    SERVICE = "service"
    """A verb or a server of bedplate's own: `doctor`, `serve`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The thing that an event or a sample is about."""

    kind: SubjectKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"


def parse_subject(text: str) -> Subject:
    """`node:n1` as a subject; `node` alone means every node, with an empty id.

    Raises:
        UsageError: There is no such kind.
    """
    word, _, name = text.partition(":")
    kinds = [kind.value for kind in SubjectKind]
    check_known(word, kinds, "unknown kind of subject")
    return Subject(kind=SubjectKind(word), id=name)


def run_subject(run_id: str, step: str = "") -> Subject:
    """The run, or one of its steps."""
    return Subject(kind=SubjectKind.STEP, id=f"{run_id}/{step}") if step else Subject(kind=SubjectKind.RUN, id=run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened, once. Made by `core.events.catalogue.make_event`, which knows the kinds and their attributes."""

    kind: str
    """Of the catalogue: `task.exited`, `checkpoint.committed`, `train.resumed`."""
    at_s: float
    """Seconds since the epoch (or virtual seconds under the simulated engine)."""
    message: str = ""
    """For people; one line."""
    severity: Severity = Severity.INFO
    subject: Subject | None = None
    """What it is about; None: what the sink is for, a step for instance."""
    source: str = ""
    """The component that says so: `engine`, `train`, `runner`."""
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSample:
    """One value of one time series."""

    name: str
    """Base unit as suffix: `train_loss`, `serve_time_to_first_token_s`."""
    value: float
    at_s: float
    labels: Mapping[str, str] = field(default_factory=dict)
    subject: Subject | None = None
    """What it is about; None: what the sink is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatistics:
    """What became of the events and samples that a sink took."""

    written: int = 0
    """Stored."""
    waiting: int = 0
    """Not stored yet."""
    dropped: int = 0
    """Lost: they came faster than they could be stored, or the store failed."""


class EventSink(Protocol):
    """Where events and metric samples go; must not block for long, must not raise for a full sink."""

    def emit(self, event: Event) -> None:
        """Take one event."""
        ...

    def sample(self, sample: MetricSample) -> None:
        """Take one metric sample."""
        ...

    def statistics(self) -> SinkStatistics:
        """Counts since it was opened."""
        ...


class NullEventSink:
    """A sink that keeps nothing."""

    def emit(self, event: Event) -> None:
        """Discard `event`."""

    def sample(self, sample: MetricSample) -> None:
        """Discard `sample`."""

    def statistics(self) -> SinkStatistics:
        """Nothing is written, and nothing counts as lost."""
        return SinkStatistics()
