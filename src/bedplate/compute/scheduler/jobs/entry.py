"""What the state keeps of one job: where it is in its life, what it holds, and what was done to it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

from bedplate.compute.scheduler.job import Allocation, Job
from bedplate.compute.scheduler.nodes.needs import Shape, fewest
from bedplate.compute.scheduler.placement.cluster import Taken
from bedplate.compute.scheduler.quota.ledger import Charge, Tenant

HOUR_S = 3600.0


class Phase(enum.StrEnum):
    """Where a job is in its life; one that ended is not in the state any more."""

    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTING = "preempting"
    """It was asked to end and still holds its places."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One job; its owner is the state, and nobody else changes it."""

    job: Job
    sequence: int
    """Order in which jobs were submitted; the last resort of every order."""
    tenant: Tenant
    shape: Shape
    key: tuple[float, ...]
    """Its place in its tenant's queue."""
    fewest: int = field(init=False)
    """Workers without which it does not run."""
    floor: int = 0
    """Workers that it is entitled to while it runs: others make room for those that it has not yet. Set by `retarget`."""
    phase: Phase = Phase.WAITING
    refusal: tuple[str, str] | None = None
    """Why it can never run, and the nearest request that could."""
    model: str = ""
    allocation: Allocation | None = None
    taken: tuple[Taken, ...] = ()
    """What each of its places takes of the cluster, in the order of the places."""
    charge: Charge = ()
    """What its tenant is charged for it."""
    slot: int = -1
    """Its row among what is held."""
    started_s: float = 0.0
    resized_s: float = 0.0
    ends_by_s: float | None = None
    """When it will have ended at the latest, once it was asked to."""
    not_before_s: float = 0.0
    """It does not start before that."""
    done_frac: float = 0.0
    """How much of its work is done and kept."""
    started_frac: float = 0.0
    """The same when it started."""
    beneficiary: str = ""
    """The job for which it was asked to end or to shrink."""
    victims: set[str] = field(default_factory=set)
    """Jobs that were asked to make room for it; it goes first as long as there are any."""
    room_on: set[int] = field(default_factory=set)
    """Nodes on which these were."""
    displaced_by: set[str] = field(default_factory=set)
    """Jobs that took its place; it never takes theirs."""
    preempted_s: list[float] = field(default_factory=list)
    """When it was preempted."""
    shrinking: frozenset[int] = frozenset()
    """Positions of the places that it was asked to give back."""

    def __post_init__(self) -> None:
        self.fewest = fewest(self.job.request)

    @property
    def left_s(self) -> float:
        """How long it still runs with all its workers at speed 1; infinity where nobody knows."""
        return math.inf if self.job.expected_s is None else self.job.expected_s * (1 - self.done_frac)

    @property
    def num_workers(self) -> int:
        """Workers that it has."""
        return len(self.taken)

    @property
    def missing(self) -> int:
        """Workers that it wants and does not have."""
        return max(0, self.job.request.workers - len(self.taken))

    @property
    def surplus(self) -> int:
        """Workers that it has and does not want any more."""
        return max(0, len(self.taken) - self.job.request.workers)

    @property
    def owed(self) -> int:
        """Workers that it is entitled to and does not have."""
        return max(0, self.floor - len(self.taken))

    def duration_s(self, model: str, workers: int) -> float | None:
        """How long what is left of it takes on a model with so many workers; None where nobody knows."""
        if self.job.expected_s is None:
            return None
        return self.job.expected_s * (1 - self.done_frac) / self.shape.speed_on(model) * self.job.request.workers / workers

    def preemptions_since(self, since_s: float) -> int:
        """How often it was preempted after that."""
        return sum(1 for at in self.preempted_s if at > since_s)
