"""What the state answers: plain records of runs, steps and events."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.core.events.event import Subject
from bedplate.core.json import Json, JsonObject


class Status(enum.StrEnum):
    """Where a run or a step is; the words that scripts see."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as it is stored."""

    id: str
    key: str
    """Digest of the file, its inputs and the pipeline's format; the same key is the same work."""
    generation: int
    """From 1; `--new` counts on."""
    name: str
    file: str
    document: JsonObject
    engine: str
    version: str
    status: Status
    attempt: int
    """How often it was started."""
    cancel_attempt: int
    """The attempt that somebody asked to end; 0: none."""
    created_at_s: float
    started_at_s: float | None = None
    ended_at_s: float | None = None
    error: JsonObject | None = None
    holder: JsonObject | None = None
    """The process that ran it last; see `app/pipeline/run/process.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of a run as it is stored."""

    run_id: str
    name: str
    position: int
    use: str
    status: Status
    attempts: int = 0
    started_at_s: float | None = None
    seconds: float | None = None
    """Wall time of its last finished attempt."""
    progress: JsonObject | None = None
    """`done`, `total`, `unit` while it runs."""
    error: JsonObject | None = None
    result: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One stored event; `number` grows with time and is where a reader continues."""

    number: int
    subject: Subject
    run_id: str | None
    """The run that it happened in; None: outside of runs."""
    step: str
    kind: str
    at_s: float
    severity: str
    source: str
    message: str
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRecord:
    """One stored sample of a time series."""

    step: str
    name: str
    at_s: float
    value: float | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRecord:
    """One gang that a step submitted, and where its logs are."""

    step: str
    attempt: int
    id: str
    num_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionRecord:
    """Cores that a step found bad; kept, so that a resumed run leaves them out too."""

    step: str
    node_id: str
    cores: tuple[int, ...]
    reason: str
