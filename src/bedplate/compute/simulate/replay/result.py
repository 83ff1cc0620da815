"""What one policy made of a trace, in numbers: of all jobs, of each tenant and of each size of job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Some numbers in five; None of no numbers."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p99: float | None

    def as_json(self) -> JsonObject:
        """Its numbers by name."""
        return {"count": self.count, "mean": self.mean, "p50": self.p50, "p90": self.p90, "p99": self.p99}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGroup:
    """Some jobs of the trace: all, those of a tenant, those of a size."""

    num_jobs: int
    num_completed: int
    queueing_s: Distribution
    """From submission to the first start."""
    completion_s: Distribution
    """From submission to the end."""
    slowdown: Distribution
    """Completion time / duration."""

    def as_json(self) -> JsonObject:
        """The keys of `-o json`."""
        return {
            "jobs": self.num_jobs,
            "completed": self.num_completed,
            "queueing_s": self.queueing_s.as_json(),
            "completion_s": self.completion_s.as_json(),
            "slowdown": self.slowdown.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A value over time."""

    at_s: tuple[float, ...]
    value: tuple[float, ...]

    def as_json(self) -> JsonObject:
        """Its points."""
        return {"at_s": list(self.at_s), "value": list(self.value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """One policy over one trace."""

    policy: str
    all_jobs: JobGroup
    by_tenant: Mapping[str, JobGroup]
    by_size: Mapping[str, JobGroup]
    """By number of accelerators."""
    num_refused: int
    """Jobs that nothing in the cluster can ever run."""
    refusals: Mapping[str, int]
    num_never_run: int
    """Jobs that still waited when nothing could change any more."""
    allocation_frac: float | None
    """Of the devices, while jobs arrived; None if all arrived at once, or there are no devices."""
    allocation_to_the_end_frac: float | None
    """Of the devices, until the last job had ended; None if nothing ran."""
    useful_frac: float | None
    """Of the device time that was allocated, what became work that was kept; None if none was allocated."""
    fragmentation_frac: float
    """Of the free devices, what the jobs of the trace cannot use, on average."""
    served_frac: Mapping[str, float]
    """What each tenant held / what it was entitled to; see `fairness.py`."""
    dominant_shares: Mapping[str, float]
    jain: float
    """Jain's index over `served_frac`."""
    num_preemptions: int
    num_node_losses: int
    """How often a job lost a node."""
    num_resizes: int
    lost_device_s: float
    """Device time whose work was lost."""
    overhead_device_s: float
    """Device time that restarts and saving took."""
    makespan_s: float
    """When the last job had ended."""
    num_deadlines: int
    num_deadlines_met: int
    most_waiting: int
    num_decisions: int
    """How often the scheduler was asked."""
    seconds: float
    """That the simulation took."""
    allocation: Curve
    waiting: Curve
    running: Curve
    usable: Curve
    fragmentation: Curve
    completion_quantiles_s: tuple[float, ...]
    """Completion times at even steps from the shortest to the longest."""

    @property
    def worst_served_frac(self) -> float:
        """What the tenant that fared worst held of what it was entitled to."""
        return min(self.served_frac.values(), default=1.0)

    @property
    def deadlines_met_frac(self) -> float | None:
        """Of the jobs with a deadline; None if there are none."""
        return self.num_deadlines_met / self.num_deadlines if self.num_deadlines else None

    @property
    def utilisation_frac(self) -> float | None:
        """Of the devices, until the last job had ended, what became work that was kept; None if nothing ran."""
        if self.allocation_to_the_end_frac is None or self.useful_frac is None:
            return None
        return self.allocation_to_the_end_frac * self.useful_frac

    def as_json(self) -> JsonObject:
        """One entry of `policies` in `-o json`."""
        return {
            "policy": self.policy,
            "provenance": Provenance.SIMULATED.value,
            **self.all_jobs.as_json(),
            "refused": self.num_refused,
            "refusals": dict(self.refusals),
            "never_run": self.num_never_run,
            "allocation_frac": self.allocation_frac,
            "allocation_to_the_end_frac": self.allocation_to_the_end_frac,
            "utilisation_frac": self.utilisation_frac,
            "useful_frac": self.useful_frac,
            "fragmentation_frac": self.fragmentation_frac,
            "fairness": {
                "jain": self.jain,
                "worst_served_frac": self.worst_served_frac,
                "served_frac": dict(self.served_frac),
                "dominant_shares": dict(self.dominant_shares),
            },
            "preemptions": self.num_preemptions,
            "node_losses": self.num_node_losses,
            "resizes": self.num_resizes,
            "lost_device_s": self.lost_device_s,
            "overhead_device_s": self.overhead_device_s,
            "makespan_s": self.makespan_s,
            "deadlines": self.num_deadlines,
            "deadlines_met_frac": self.deadlines_met_frac,
            "most_waiting": self.most_waiting,
            "decisions": self.num_decisions,
            "seconds": self.seconds,
            "by_tenant": {name: group.as_json() for name, group in self.by_tenant.items()},
            "by_size": {name: group.as_json() for name, group in self.by_size.items()},
            "series": {
                "allocated_devices": self.allocation.as_json(),
                "usable_devices": self.usable.as_json(),
                "waiting_jobs": self.waiting.as_json(),
                "running_jobs": self.running.as_json(),
                "fragmentation_frac": self.fragmentation.as_json(),
            },
        }
