"""What the state answers about jobs, tenants and users: plain records."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.core.json import JsonObject
from bedplate.state.records import Status


class Phase(enum.StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    """For its first start, or again after it was preempted or lost a node."""
    STARTING = "starting"
    """It has its places, and its process is being launched: this is durable before anything is launched."""
    RUNNING = "running"
    """Its process has said so."""
    STOPPING = "stopping"
    """Its process was asked to end; `stop` says why. It still has its places."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in FINAL

    @property
    def status(self) -> Status:
        """The word that scripts see of every kind of work."""
        return Status.RUNNING if self in (Phase.STARTING, Phase.STOPPING) else Status(self.value)


FINAL = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)
PLACED = (Phase.STARTING, Phase.RUNNING, Phase.STOPPING)
"""Phases in which a job holds its places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a submission says."""

    name: str
    key: str
    """Digest of the run: content, inputs and owner. Two submissions with the same key continue the same run."""
    user: str
    tenant: str
    priority: int
    file: str
    document: JsonObject
    """The pipeline, its inputs as absolute paths."""
    request: JsonObject
    """What it needs, as the scheduler's words in JSON."""
    terms: JsonObject
    """How it may be treated: `expected_s`, `deadline_s`, `is_preemptible`, `grace_s`, `kind`."""
    is_new_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord(NewJob):
    """One job as it is stored."""

    number: int
    """Counts up; the order of submission."""
    id: str
    run_id: str | None
    """The run of its process, once that has started one."""
    phase: Phase
    submitted_at_s: float
    placed_at_s: float | None
    """When it got the places that it has, or had last."""
    ended_at_s: float | None
    attempt: int
    """How often it was given places. A process of another attempt than this one must not run."""
    num_crashes: int
    """How often its process ended without a word."""
    allocation: JsonObject | None
    runner: JsonObject | None
    """Its process; see `app/pipeline/run/process.py`."""
    outcome: JsonObject | None
    """What its process said at its end: `status`, `error`, `attempt`."""
    stop: JsonObject | None
    """Why it is stopping: `why`, `reason`, `asked_at_s`."""
    cancelled_by: str | None
    """Who asked for its end."""
    error: JsonObject | None
    why: str
    """Why it waits, or is where it is; for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRecord:
    """One tenant and its quota; see `compute/scheduler/tenants.py`."""

    name: str
    guaranteed: Mapping[str, float] = field(default_factory=dict)
    limit: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """One user of the service."""

    name: str
    role: str
    tenants: tuple[str, ...]
    """Tenants that the user belongs to, each with all below it."""
    created_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRecord:
    """A node that gets no new work."""

    node_id: str
    reason: str
    by: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRecord:
    """What jobs of a kind achieved on a model of device."""

    kind: str
    model: str
    samples: int
    mean_log: float
    """Mean of the natural logarithm of the units of work per device-second; the unit is that of the kind."""
