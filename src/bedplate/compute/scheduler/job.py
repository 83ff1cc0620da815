"""What the scheduler knows of a job: who wants it, what it needs, and how it may be treated."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from bedplate.core.errors import UsageError

WHOLE = 1000
"""Thousandths of a device."""


class Topology(enum.StrEnum):
    """How near to each other the workers of a job must be."""

    ANY = "any"
    """Anywhere; few leaves are preferred."""
    SAME_LEAF = "same-leaf"
    """All under one leaf switch (node label `leaf`)."""
    SAME_NODE = "same-node"
    """All in one node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a job needs: a number of workers that are alike, and what each of them takes."""

    workers: int = 1
    """Number that is wanted."""
    min_workers: int | None = None
    """Fewest that it can run with; it may then start smaller, be shrunk and grow. None: as many as wanted, always."""
    is_gang: bool = True
    """Its workers start together or not at all. False: each starts when there is room for it."""
    devices: int = 0
    """Accelerators of each worker; 0 for work on CPUs only."""
    share_milli: int = WHOLE
    """Thousandths of its accelerator that a worker takes; less than `WHOLE` with one accelerator only."""
    accelerators: tuple[str, ...] = ()
    """Models that it accepts, the preferred one first; any if empty. One job runs on one model."""
    device_memory_bytes: int = 0
    """Least memory of each accelerator; of its share, where it takes one."""
    cpu_milli: int = WHOLE
    """Thousandths of a core of each worker."""
    memory_bytes: int = 0
    """Host memory of each worker."""
    topology: Topology = Topology.ANY
    labels: Mapping[str, str] = field(default_factory=dict)
    """Only nodes with these labels."""

    def __post_init__(self) -> None:
        if self.workers < 1 or not 1 <= self.fewest <= self.workers:
            raise UsageError(
                "no such number of workers",
                seen=f"{self.workers} workers, at least {self.fewest}",
                expected="one worker or more, and a minimum from 1 to their number",
            )
        if min(self.devices, self.cpu_milli, self.memory_bytes, self.device_memory_bytes) < 0:
            raise UsageError("a job cannot need less than nothing", seen=self, expected="0 or more of everything")
        if not 0 < self.share_milli <= WHOLE or (self.share_milli < WHOLE and self.devices != 1):
            raise UsageError(
                "no such share of an accelerator",
                seen=f"{self.share_milli}/{WHOLE} of {self.devices} accelerators",
                expected="a share of one accelerator, or whole ones",
            )

    @property
    def fewest(self) -> int:
        """Workers without which it does not run."""
        return self.workers if self.min_workers is None else self.min_workers

    @property
    def is_elastic(self) -> bool:
        """Whether it may run with fewer workers than it wants."""
        return self.fewest < self.workers

    @property
    def device_milli(self) -> int:
        """Thousandths of accelerators that one worker takes."""
        return self.devices * self.share_milli


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that waits or runs. Times are in seconds of the scheduler's clock."""

    id: str
    name: str
    tenant: str
    """Path in the tree of tenants: `research/vision`."""
    user: str
    request: Request
    submitted_s: float
    priority: int = 0
    """Higher goes first, and may take the place of lower."""
    kind: str = "training"
    """What its speed on a model is looked up by: `training`, `inference`, `science` …"""
    expected_s: float | None = None
    """How long it is expected to run with all its workers; None where nobody knows. Backfilling rests on it."""
    deadline_s: float | None = None
    """When it should have ended."""
    is_preemptible: bool = True
    grace_s: float = 30.0
    """How long it is given to save a checkpoint once it is asked to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """Where one worker runs."""

    node: str
    """`Node.id`."""
    devices: tuple[int, ...] = ()
    """Positions of its accelerators among those of the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a job holds."""

    model: str
    """Of its accelerators; empty for work on CPUs only."""
    places: tuple[WorkerPlace, ...]
    """One a worker."""
