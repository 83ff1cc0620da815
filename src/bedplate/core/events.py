"""What happened, and how much: the two streams that every part writes and operations reads."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bedplate.core.json import Json


class Severity(enum.StrEnum):
    """How loudly an event asks for attention."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened, once."""

    kind: str
    """Dotted, stable: `task.exited`, `checkpoint.committed`, `train.resumed`."""
    at_s: float
    """Seconds since the epoch (or virtual seconds under the simulated engine)."""
    message: str = ""
    """For people; one line."""
    severity: Severity = Severity.INFO
    run_id: str = ""
    step: str = ""
    """Name of the pipeline step; empty outside a pipeline."""
    source: str = ""
    """Who says so: `engine.local`, `worker.train.1`."""
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSample:
    """One value of one time series."""

    name: str
    """Base unit as suffix: `train_loss`, `serve_time_to_first_token_s`."""
    value: float
    at_s: float
    labels: Mapping[str, str] = field(default_factory=dict)


class EventSink(Protocol):
    """Where events and metric samples go; must not block for long, must not raise for a full sink."""

    def emit(self, event: Event) -> None:
        """Take one event."""
        ...

    def sample(self, sample: MetricSample) -> None:
        """Take one metric sample."""
        ...


class NullEventSink:
    """A sink that keeps nothing."""

    def emit(self, event: Event) -> None:
        """Discard `event`."""

    def sample(self, sample: MetricSample) -> None:
        """Discard `sample`."""
