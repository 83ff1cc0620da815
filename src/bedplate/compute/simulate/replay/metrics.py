"""Watches a replay and keeps what the summary is made of: integrals over time, and a few numbers a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.job import WHOLE, WorkerPlace
from bedplate.compute.scheduler.nodes.needs import accelerators, request_class
from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.request import RequestClass
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.simulate.replay.fairness import Service
from bedplate.compute.simulate.replay.fragmentation import Fragmentation
from bedplate.compute.simulate.replay.observing import Left
from bedplate.compute.simulate.replay.series import SeriesTable
from bedplate.compute.simulate.replay.work import JobWork, Segment
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.devices import Node

NUM_SAMPLES = 512
"""Moments at which fragmentation and fairness are taken, evenly spread over the time of arrivals; later at the same pace."""
ALLOCATED, USABLE, WAITING, RUNNING = range(4)
"""Channels: devices that are held, devices of nodes that are up, jobs that wait, jobs that run."""
_NUM_CHANNELS = 4
_DEVICES, _CPU, _MEMORY = range(3)


@dataclass(slots=True, kw_only=True)
class JobTimes:
    """Numbers of each job, by its index in the trace; NaN where it has none."""

    first_start_J: Floats
    end_J: Floats
    preemptions_J: Floats
    is_refused_J: Floats


class Metrics:
    """An observer; see `summary.py` for what becomes of it."""

    def __init__(self, trace: Trace, nodes: Sequence[Node], state: SchedulerState, weights: Mapping[str, float]) -> None:
        self._state = state
        count = len(trace.jobs)
        self.times = JobTimes(
            first_start_J=np.full(count, np.nan),
            end_J=np.full(count, np.nan),
            preemptions_J=np.zeros(count),
            is_refused_J=np.zeros(count),
        )
        self._devices_of = {node.id: len(accelerators(node)) for node in nodes}
        self.num_devices = sum(self._devices_of.values())
        self.arrivals_s = trace.jobs[-1].job.submitted_s if trace.jobs else 0.0
        self._step_s = max(self.arrivals_s / NUM_SAMPLES, 1.0)
        self.series = SeriesTable(_NUM_CHANNELS, self._step_s)
        self.series.values[USABLE] = float(self.num_devices)
        self.allocated_while_arriving_device_s = 0.0
        self.useful_device_s = self.lost_device_s = self.overhead_device_s = 0.0
        self.num_preemptions = self.num_node_losses = self.num_resizes = 0
        self.most_waiting = 0
        self.refusals: dict[str, int] = {}
        self.tenants = tuple(sorted({traced.job.tenant for traced in trace.jobs}))
        self._tenant_at = {tenant: at for at, tenant in enumerate(self.tenants)}
        self.service = Service(self.tenants, weights)
        total_cpu = sum(node.num_cores for node in nodes) * WHOLE
        self._total_R = np.maximum([self.num_devices * WHOLE, total_cpu, sum(node.memory_bytes for node in nodes)], 1.0)
        self._held = [[0.0] * 3 for _ in self.tenants]
        self._asked = [[0.0] * 3 for _ in self.tenants]
        self._fragmentation = Fragmentation(_needs(trace))
        self.fragmentation_points: list[tuple[float, float]] = []
        """Time in seconds, and the fraction of the free devices that the trace's jobs cannot use."""
        self._fragmentation_sum = self._fragmentation_weight = 0.0
        self._sampled_s = 0.0

    @property
    def fragmentation_frac(self) -> float:
        """Mean over the samples."""
        return self._fragmentation_sum / self._fragmentation_weight if self._fragmentation_weight else 0.0

    def submitted(self, work: JobWork, now: float) -> None:
        """See `Observer`."""
        self._advance(now)
        self._asks(work, work.traced.job.request.workers)
        self.series.values[WAITING] += 1
        self.most_waiting = max(self.most_waiting, int(self.series.values[WAITING]))

    def began(self, work: JobWork, places: Sequence[WorkerPlace], now: float) -> None:
        """See `Observer`."""
        self._advance(now)
        values = self.series.values
        values[ALLOCATED] += work.devices
        values[WAITING] -= 1
        values[RUNNING] += 1
        self._holds(work, len(places))
        if not self.times.first_start_J[work.index] >= 0:
            self.times.first_start_J[work.index] = now

    def left(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left, segment: Segment) -> None:
        """See `Observer`."""
        self._advance(now)
        values = self.series.values
        values[ALLOCATED] -= segment.devices
        values[RUNNING] -= 1
        self._holds(work, -len(places))
        self.useful_device_s += segment.devices * segment.saved_s
        self.lost_device_s += segment.devices * (segment.worked_s - segment.saved_s)
        self.overhead_device_s += segment.devices * (segment.held_s - segment.worked_s)
        if why is Left.COMPLETE:
            self.times.end_J[work.index] = now
            self._asks(work, -work.traced.job.request.workers)
            return
        values[WAITING] += 1
        self.num_resizes += why is Left.RESIZED
        self.num_node_losses += why is Left.NODE_LOST
        if why is Left.PREEMPTED:
            self.num_preemptions += 1
            self.times.preemptions_J[work.index] += 1

    def refused(self, work: JobWork, now: float, reason: str) -> None:
        """See `Observer`."""
        self._advance(now)
        self.series.values[WAITING] -= 1
        self._asks(work, -work.traced.job.request.workers)
        self.times.is_refused_J[work.index] = 1.0
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def capacity_changed(self, node: str, is_up: bool, now: float) -> None:
        """See `Observer`."""
        self._advance(now)
        self.series.values[USABLE] += self._devices_of[node] if is_up else -self._devices_of[node]

    def decided(self, now: float, num_waiting: int) -> None:
        """See `Observer`; samples what is costly, now and then."""
        self._advance(now)
        if now - self._sampled_s < self._step_s:
            return
        seconds, self._sampled_s = now - self._sampled_s, now
        held_TR = np.array(self._held) / self._total_R
        self.service.sample(held_TR, np.array(self._asked) / self._total_R, seconds)
        cluster = self._state.nodes.cluster
        fraction = self._fragmentation.unusable_frac(cluster.free, cluster.models)
        self.fragmentation_points.append((now, fraction))
        self._fragmentation_sum += fraction * seconds
        self._fragmentation_weight += seconds

    def _advance(self, now: float) -> None:
        series = self.series
        if now <= series.now:
            return
        if series.now < self.arrivals_s <= now:
            series.advance(self.arrivals_s)
            self.allocated_while_arriving_device_s = series.integral(ALLOCATED)
        series.advance(now)

    def _holds(self, work: JobWork, workers: int) -> None:
        _add(self._held[self._tenant_at[work.traced.job.tenant]], work, workers)

    def _asks(self, work: JobWork, workers: int) -> None:
        _add(self._asked[self._tenant_at[work.traced.job.tenant]], work, workers)


def _add(amounts: list[float], work: JobWork, workers: int) -> None:
    request = work.traced.job.request
    amounts[_DEVICES] += workers * request.device_milli
    amounts[_CPU] += workers * request.cpu_milli
    amounts[_MEMORY] += workers * request.memory_bytes


def _needs(trace: Trace) -> list[tuple[RequestClass, float]]:
    """What a worker needs, and the device time that jobs of the trace ask for in this form."""
    weights: dict[RequestClass, float] = {}
    classes: dict[int, RequestClass] = {}
    for traced in trace.jobs:
        request = traced.job.request
        if not request.devices:
            continue
        need = classes.get(id(request))
        if need is None:
            need = classes[id(request)] = request_class(request, tuple(sorted(request.accelerators)))
        weights[need] = weights.get(need, 0.0) + traced.device_s
    return list(weights.items())
