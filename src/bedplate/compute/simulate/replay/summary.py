"""What one policy made of a trace, in numbers: of all jobs, of each tenant and of each size of job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.scheduler.placement.arrays import Bools, Floats
from bedplate.compute.simulate.replay.fairness import jain_index
from bedplate.compute.simulate.replay.metrics import ALLOCATED, RUNNING, USABLE, WAITING, Metrics
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance

SHORTEST_S = 10.0
"""Slowdown counts shorter jobs as this long (bounded slowdown; Feitelson 2001), or the shortest would be all that is seen."""
_SIZES = ((0.0, "0"), (0.999, "<1"), (1.0, "1"), (7.999, "2-7"), (8.0, "8"), (63.999, "9-63"))
_LARGEST = "64+"


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
    allocation_frac: float
    """Of the devices, while jobs arrived."""
    allocation_to_the_end_frac: float
    """Of the devices, until the last job had ended."""
    useful_frac: float
    """Of the device time that was allocated, what became work that was kept."""
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
            "utilisation_frac": self.allocation_to_the_end_frac * self.useful_frac,
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


def summarise(
    policy: str, trace: Trace, metrics: Metrics, makespan_s: float, num_decisions: int, seconds: float
) -> PolicyResult:
    """Numbers of one replay that has ended."""
    submitted_J = np.array([traced.job.submitted_s for traced in trace.jobs])
    duration_J = np.array([traced.duration_s for traced in trace.jobs])
    times, series = metrics.times, metrics.series
    completion_J = times.end_J - submitted_J
    columns = _Columns(
        queueing_J=times.first_start_J - submitted_J,
        completion_J=completion_J,
        slowdown_J=np.maximum(completion_J / np.maximum(duration_J, SHORTEST_S), 1.0),
    )
    tenant_J = np.array([traced.job.tenant for traced in trace.jobs], dtype=object)
    size_J = np.array([size_class(traced.job) for traced in trace.jobs], dtype=object)
    deadline_J = np.array([np.nan if (at := traced.job.deadline_s) is None else at for traced in trace.jobs])
    allocated_device_s = series.integral(ALLOCATED)
    served = metrics.service.served_frac()
    is_completed_J = ~np.isnan(times.end_J)
    return PolicyResult(
        policy=policy,
        all_jobs=columns.group(np.ones(len(submitted_J), bool)),
        by_tenant={str(name): columns.group(tenant_J == name) for name in metrics.tenants},
        by_size={name: columns.group(size_J == name) for name in SIZE_CLASSES if (size_J == name).any()},
        num_refused=int(times.is_refused_J.sum()),
        refusals=dict(metrics.refusals),
        num_never_run=int((~is_completed_J & (times.is_refused_J == 0)).sum()),
        allocation_frac=_per_device(metrics.allocated_while_arriving_device_s, metrics, metrics.arrivals_s),
        allocation_to_the_end_frac=_per_device(allocated_device_s, metrics, makespan_s),
        useful_frac=metrics.useful_device_s / allocated_device_s if allocated_device_s else 1.0,
        fragmentation_frac=metrics.fragmentation_frac,
        served_frac=served,
        dominant_shares=metrics.service.dominant_shares(),
        jain=jain_index(np.array(list(served.values()))),
        num_preemptions=metrics.num_preemptions,
        num_node_losses=metrics.num_node_losses,
        num_resizes=metrics.num_resizes,
        lost_device_s=metrics.lost_device_s,
        overhead_device_s=metrics.overhead_device_s,
        makespan_s=makespan_s,
        num_deadlines=int((~np.isnan(deadline_J)).sum()),
        num_deadlines_met=int((times.end_J <= deadline_J).sum()),
        most_waiting=metrics.most_waiting,
        num_decisions=num_decisions,
        seconds=seconds,
        allocation=_curve(metrics, ALLOCATED),
        waiting=_curve(metrics, WAITING),
        running=_curve(metrics, RUNNING),
        usable=_curve(metrics, USABLE),
        fragmentation=_points(metrics.fragmentation_points),
        completion_quantiles_s=_quantiles(completion_J[is_completed_J]),
    )


def size_class(job: Job) -> str:
    """`0`, `<1`, `1`, `2-7`, `8`, `9-63` or `64+` accelerators."""
    devices = job.request.workers * job.request.device_milli / WHOLE
    return next((name for most, name in _SIZES if devices <= most), _LARGEST)


SIZE_CLASSES = (*(name for _, name in _SIZES), _LARGEST)
NUM_QUANTILES = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Numbers of all jobs; NaN where a job has none."""

    queueing_J: Floats
    completion_J: Floats
    slowdown_J: Floats

    def group(self, chosen_J: Bools) -> JobGroup:
        completed = int((~np.isnan(self.completion_J[chosen_J])).sum())
        return JobGroup(
            num_jobs=int(chosen_J.sum()),
            num_completed=completed,
            queueing_s=distribution(self.queueing_J[chosen_J]),
            completion_s=distribution(self.completion_J[chosen_J]),
            slowdown=distribution(self.slowdown_J[chosen_J]),
        )


def distribution(values: Floats) -> Distribution:
    """Of the values that are there; NaN is not."""
    there = values[~np.isnan(values)]
    if not len(there):
        return Distribution(count=0, mean=None, p50=None, p90=None, p99=None)
    p50, p90, p99 = (float(value) for value in np.percentile(there, (50, 90, 99)))
    return Distribution(count=len(there), mean=float(there.mean()), p50=p50, p90=p90, p99=p99)


def _per_device(device_s: float, metrics: Metrics, seconds: float) -> float:
    whole = metrics.num_devices * seconds
    return device_s / whole if whole else 0.0


def _curve(metrics: Metrics, channel: int) -> Curve:
    at_s, value = metrics.series.points(channel)
    return Curve(at_s=at_s, value=value)


def _points(points: Sequence[tuple[float, float]]) -> Curve:
    return Curve(at_s=tuple(at for at, _ in points), value=tuple(value for _, value in points))


def _quantiles(values: Floats) -> tuple[float, ...]:
    return tuple(np.quantile(values, np.linspace(0, 1, NUM_QUANTILES)).tolist()) if len(values) else ()
