"""Answers how a service should follow its load: the same load and the same jobs beside it, under each mode of capacity."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bedplate.compute.capacity.controller import CapacityController
from bedplate.compute.capacity.following import CapacityMode
from bedplate.compute.capacity.loans import Guarantee
from bedplate.compute.forecast.reading import read_series
from bedplate.compute.forecast.series import DemandSeries
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.tenants import ANY_MODEL, Quota
from bedplate.compute.simulate.openb import read_nodes
from bedplate.compute.simulate.replay.cluster import machines
from bedplate.compute.simulate.replay.loop import Replay
from bedplate.compute.simulate.replay.policies import scheduler_settings
from bedplate.compute.simulate.replay.question import JobsQuestion
from bedplate.compute.simulate.replay.simulate import device_types, trace_of
from bedplate.compute.simulate.serving.account import ServingAccount, TrainingAccount
from bedplate.compute.simulate.serving.question import ServingLoad, ServingQuestion
from bedplate.compute.simulate.serving.rolling import RollingForecasts
from bedplate.compute.simulate.serving.service import SERVICE, Behaviour, SimulatedService, in_simulated_time
from bedplate.compute.simulate.traces.shorthand import read_cluster
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.devices import Node
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.reporter import NullReporter, Reporter

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeResult:
    """How one mode went, under one policy of the scheduler."""

    policy: str
    mode: CapacityMode
    serving: ServingAccount
    training: TrainingAccount
    behaviour: Behaviour
    devices: int
    """Of one replica."""
    seconds: float
    """That the simulation took, without the forecasts."""

    @property
    def served_frac(self) -> float:
        """Share of the load that found a replica that was ready."""
        return self.serving.served / self.serving.offered if self.serving.offered else 1.0

    @property
    def attained_frac(self) -> float:
        """Share of the time in which all load did."""
        return self.serving.attained_s / self.serving.elapsed_s if self.serving.elapsed_s else 1.0

    @property
    def serving_device_hours(self) -> float:
        """Device time of replicas, ready or not."""
        return self.serving.held_s * self.devices / _HOUR_S

    @property
    def training_device_hours(self) -> float:
        """Device time in which jobs of the trace worked, without what was lost."""
        return self.training.useful_device_s / _HOUR_S

    @property
    def forecast_frac(self) -> float:
        """Share of the decisions that followed a forecast."""
        modes = [mode for _, _, mode in self.behaviour.targets]
        return modes.count(CapacityMode.FORECAST) / len(modes) if modes else 0.0

    def as_json(self) -> JsonObject:
        """One entry of `modes` in `-o json`."""
        training = self.training
        return {
            "policy": self.policy,
            "capacity": self.mode.value,
            "serving_device_hours": self.serving_device_hours,
            "served_frac": self.served_frac,
            "attained_frac": self.attained_frac,
            "starts": self.serving.num_starts,
            "training_device_hours": self.training_device_hours,
            "completed": training.num_completed,
            "preemptions": training.num_preemptions,
            "resizes": len(training.resized_s),
            "lost_device_hours": training.lost_device_s / _HOUR_S,
            "overhead_device_hours": training.overhead_device_s / _HOUR_S,
            "loans": len(self.behaviour.loans),
            "forecast_frac": self.forecast_frac,
            "provenance": Provenance.SIMULATED.value,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingResult:
    """Modes side by side, over the same load and jobs."""

    load: DemandSeries
    days: float
    num_devices: int
    num_jobs: int
    modes: tuple[ModeResult, ...]

    def as_json(self) -> JsonObject:
        """The document of `-o json`."""
        return {
            "load": {"name": self.load.name, "step_s": self.load.step_s, "steps": len(self.load), "days": self.days},
            "devices": self.num_devices,
            "jobs": self.num_jobs,
            "modes": [mode.as_json() for mode in self.modes],
            "provenance": Provenance.SIMULATED.value,
        }


def simulate_serving(question: ServingQuestion, jobs: JobsQuestion, reporter: Reporter | None = None) -> ServingResult:
    """Replay load and jobs under each mode, and each policy of the scheduler.

    Raises:
        NotFoundError, ConfigurationError: A file is missing or cannot be read, with its line.
        CheckFailedError: More of the trace is left out than the question allows.
        UsageError: The load needs more than the cluster has, or is too short.
    """
    reporter = reporter or NullReporter()
    asked = question.serving
    placement_nodes = read_cluster(jobs.cluster) if jobs.cluster is not None else read_nodes(Path(jobs.nodes or ""))
    nodes, num_devices = machines(placement_nodes, jobs.leaf), sum(node.num_devices for node in placement_nodes)
    series = read_series(Path(asked.load), asked.column, time=asked.time, step_s=asked.follow.every)
    return simulate_load(question, jobs, series, trace_of(jobs, placement_nodes, reporter), nodes, num_devices, reporter)


def simulate_load(
    question: ServingQuestion,
    jobs: JobsQuestion,
    series: DemandSeries,
    trace: Trace,
    nodes: list[Node],
    num_devices: int,
    reporter: Reporter | None = None,
) -> ServingResult:
    """The same for a load and jobs that were read before."""
    reporter, asked = reporter or NullReporter(), question.serving
    if asked.follow.most * asked.devices > num_devices:
        raise UsageError(
            "the service may want more than the cluster has",
            seen=f"{asked.follow.most} replicas of {asked.devices} devices, {num_devices} devices",
            expected="fewer replicas, or more nodes",
        )
    simulated = in_simulated_time(series, asked.days)
    forecasts = None
    if CapacityMode.FORECAST in question.capacity:
        reporter.say(f"forecasts of {series.name}")
        forecasts = RollingForecasts(series, asked.follow, simulated.start_s, reporter)
    results = []
    for policy in jobs.policy:
        for mode in question.capacity:
            reporter.say(f"{mode.value} capacity, policy {policy}")
            results.append(run_mode(asked, jobs, simulated, trace, nodes, policy, mode, forecasts, reporter))
    return ServingResult(
        load=series,
        days=_days(simulated),
        num_devices=num_devices,
        num_jobs=len(trace.jobs),
        modes=tuple(results),
    )


def _days(simulated: DemandSeries) -> float:
    return (simulated.start_s + len(simulated) * simulated.step_s) / 86_400


def run_mode(
    asked: ServingLoad,
    jobs: JobsQuestion,
    simulated: DemandSeries,
    trace: Trace,
    nodes: list[Node],
    policy: str,
    mode: CapacityMode,
    forecasts: RollingForecasts | None,
    reporter: Reporter,
) -> ModeResult:
    """One mode under one policy.

    Args:
        asked: The service; its own mode does not matter.
        jobs: How jobs are treated.
        simulated: The load, in simulated time.
        trace: The jobs.
        nodes: The cluster.
        policy: Of the scheduler, in words.
        mode: Of capacity.
        forecasts: Needed by `forecast` only.
        reporter: Told of progress.
    """
    resource, most = asked.accelerator or ANY_MODEL, asked.follow.most * asked.devices
    weights: Mapping[str, float] = jobs.weight_by_tenant()
    quota = Quota(tenant=asked.tenant, guaranteed={resource: most}, weight=weights.get(asked.tenant, 1.0))
    others = [Quota(tenant=tenant, weight=weight) for tenant, weight in weights.items() if tenant != asked.tenant]
    state = SchedulerState(
        nodes=nodes,
        device_types=device_types(jobs, trace),
        quotas=[quota, *others],
        settings=scheduler_settings(policy, jobs.scheduler),
    )

    def forecasting(_: object) -> RollingForecasts:
        assert forecasts is not None
        return forecasts

    controller = CapacityController(forecasting)
    guarantee = Guarantee(tenant=asked.tenant, resource=resource, amount=most, per_replica=asked.devices)
    controller.add(SERVICE, replace(asked.follow, capacity=mode), guarantee)
    service = SimulatedService(state, asked, simulated, controller, quota)
    training = TrainingAccount()
    begin = time.perf_counter()
    replay = Replay(trace, nodes, state, jobs.conditions(), [training], service)
    now = replay.run(reporter)
    training.settle(replay.works, now)
    return ModeResult(
        policy=policy,
        mode=mode,
        serving=service.account,
        training=training,
        behaviour=service.behaviour,
        devices=asked.devices,
        seconds=time.perf_counter() - begin,
    )
