"""What serving cost and delivered, and what training did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bedplate.compute.scheduler.job import WorkerPlace
from bedplate.compute.simulate.replay.observing import Left
from bedplate.compute.simulate.replay.work import JobWork, Segment


@dataclass(slots=True, kw_only=True)
class ServingAccount:
    """Integrals over time; load is constant between two calls of `advance`."""

    per_replica: float
    start_s: float
    ready_s: list[float] = field(default_factory=list)
    """When each replica that is held serves, or has served since."""
    load: float = 0.0
    now: float = 0.0
    held_s: float = 0.0
    """Replica-seconds, ready or not."""
    offered: float = 0.0
    """Load-seconds."""
    served: float = 0.0
    """Of these the ones that found a replica that was ready."""
    attained_s: float = 0.0
    """In which all load did."""
    elapsed_s: float = 0.0
    num_starts: int = 0

    def advance(self, now: float) -> None:
        """Time passes; replicas become ready on the way."""
        edges = sorted({at for at in self.ready_s if self.now < at < now})
        for until in [*edges, now]:
            seconds = until - self.now
            capacity = self.per_replica * sum(at <= self.now for at in self.ready_s)
            self.held_s += len(self.ready_s) * seconds
            self.offered += self.load * seconds
            self.served += min(self.load, capacity) * seconds
            self.attained_s += seconds * (self.load <= capacity * (1 + 1e-9))
            self.elapsed_s += seconds
            self.now = until

    def add(self, count: int, *, are_ready: bool = False) -> None:
        """Replicas got their places now."""
        self.ready_s += [self.now if are_ready else self.now + self.start_s] * count
        self.num_starts += 0 if are_ready else count

    def remove(self, positions: frozenset[int]) -> None:
        """Replicas at these places are gone."""
        self.ready_s = [at for place, at in enumerate(self.ready_s) if place not in positions]


class TrainingAccount:
    """An observer of the jobs of the trace."""

    def __init__(self) -> None:
        self.useful_device_s = self.lost_device_s = self.overhead_device_s = 0.0
        self.num_completed = self.num_preemptions = 0
        self.resized_s: list[tuple[float, str, int]] = []
        """When which job went on with how many workers, after each change of its size."""
        self.preempted_s: list[float] = []
        self._changing: set[str] = set()

    def submitted(self, work: JobWork, now: float) -> None:
        """See `Observer`."""

    def began(self, work: JobWork, places: Sequence[WorkerPlace], now: float) -> None:
        """See `Observer`."""
        job_id = work.traced.job.id
        if job_id in self._changing:
            self._changing.remove(job_id)
            self.resized_s.append((now, job_id, len(places)))

    def left(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left, segment: Segment) -> None:
        """See `Observer`."""
        self.useful_device_s += segment.devices * segment.saved_s
        self.lost_device_s += segment.devices * (segment.worked_s - segment.saved_s)
        self.overhead_device_s += segment.devices * (segment.held_s - segment.worked_s)
        self.num_completed += why is Left.COMPLETE
        if why is Left.PREEMPTED:
            self.num_preemptions += 1
            self.preempted_s.append(now)
        if why is Left.RESIZED:
            self._changing.add(work.traced.job.id)

    def refused(self, work: JobWork, now: float, reason: str) -> None:
        """See `Observer`."""

    def capacity_changed(self, node: str, is_up: bool, now: float) -> None:
        """See `Observer`."""

    def decided(self, now: float, num_waiting: int) -> None:
        """See `Observer`."""

    def settle(self, works: Mapping[str, JobWork], now: float) -> None:
        """What jobs that still run have done by now counts as useful."""
        for work in works.values():
            if work.rate > 0:
                worked_s = max(0.0, min(now, work.stops_working_s) - work.works_s)
                self.useful_device_s += work.devices * worked_s
                self.overhead_device_s += work.devices * (now - work.began_s - worked_s)
