"""From what was watched in a replay to the numbers of its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.job import WHOLE, Job
from bedplate.compute.scheduler.placement.arrays import Bools, Floats
from bedplate.compute.simulate.replay.fairness import jain_index
from bedplate.compute.simulate.replay.metrics import ALLOCATED, RUNNING, USABLE, WAITING, Metrics
from bedplate.compute.simulate.replay.result import Curve, Distribution, JobGroup, PolicyResult
from bedplate.compute.simulate.traces.trace import Trace

SHORTEST_S = 10.0
"""Slowdown counts shorter jobs as this long (bounded slowdown; Feitelson 2001), or the shortest would be all that is seen."""
_SIZES = ((0.0, "0"), (0.999, "<1"), (1.0, "1"), (7.999, "2-7"), (8.0, "8"), (63.999, "9-63"))
_LARGEST = "64+"


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
        useful_frac=metrics.useful_device_s / allocated_device_s if allocated_device_s else None,
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


def _per_device(device_s: float, metrics: Metrics, seconds: float) -> float | None:
    whole = metrics.num_devices * seconds
    return device_s / whole if whole else None


def _curve(metrics: Metrics, channel: int) -> Curve:
    at_s, value = metrics.series.points(channel)
    return Curve(at_s=at_s, value=value)


def _points(points: Sequence[tuple[float, float]]) -> Curve:
    return Curve(at_s=tuple(at for at, _ in points), value=tuple(value for _, value in points))


def _quantiles(values: Floats) -> tuple[float, ...]:
    return tuple(np.quantile(values, np.linspace(0, 1, NUM_QUANTILES)).tolist()) if len(values) else ()
