"""The service in the simulator: its load step by step, its replicas as the controller wants and the scheduler places them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from bedplate.compute.capacity.controller import CapacityController, Target
from bedplate.compute.capacity.following import CapacityMode
from bedplate.compute.capacity.loans import Loan
from bedplate.compute.forecast.series import DemandSeries, carried_forward
from bedplate.compute.scheduler.decide import apply, shrunk
from bedplate.compute.scheduler.decision import Decision, Grow, Preempt, Shrink, Start
from bedplate.compute.scheduler.job import Job, Request
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.tenants import Quota
from bedplate.compute.simulate.serving.account import ServingAccount
from bedplate.compute.simulate.serving.question import ServingLoad

SERVICE = "service"
"""Id of the job."""


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """What the controller did."""

    targets: list[tuple[float, int, CapacityMode]] = field(default_factory=list)
    """When it wanted how many replicas, and by which mode; one a step."""
    loans: list[tuple[float, Loan]] = field(default_factory=list)
    """When which loan was made."""


class SimulatedService:
    """A companion of the replay. Simulated time 0 is the start of the part of the load that is simulated."""

    def __init__(
        self, state: SchedulerState, asked: ServingLoad, series: DemandSeries, controller: CapacityController, quota: Quota
    ) -> None:
        """Args:
        state: Without the service.
        asked: The service.
        series: Its load; what begins before 0 is history.
        controller: Knows the service by `SERVICE`, and nothing of its load.
        quota: Of its tenant.
        """
        self._state, self._asked, self._series, self._controller = state, asked, series, controller
        self._quota = quota
        self._values = carried_forward(series.values)
        self._first = round(-series.start_s / series.step_s)
        self._step = self._first
        self._is_begun = False
        self.account = ServingAccount(per_replica=asked.follow.per_replica, start_s=asked.follow.start)
        self.behaviour = Behaviour()
        for at in range(self._first):
            controller.observe(SERVICE, series.start_s + (at + 1) * series.step_s, float(self._values[at]))

    @property
    def next_s(self) -> float:
        """See `Companion`."""
        return math.inf if self._step > len(self._values) else (self._step - self._first) * self._series.step_s

    def happen(self, now: float) -> None:
        """A step of the load has ended, and the next one begins."""
        self.account.advance(now)
        if self._step > self._first:
            self._controller.observe(SERVICE, now, float(self._values[self._step - 1]))
        if self._step < len(self._values):
            self.account.load = float(self._values[self._step])
            self._follow(self._controller.target(SERVICE, now), now)
        self._step += 1

    def carry_out(self, decision: Decision, now: float) -> bool:
        """See `Companion`."""
        if decision.job_id != SERVICE:
            return False
        self.account.advance(now)
        apply(self._state, decision, now)
        match decision:
            case Start():
                self.account.add(len(decision.allocation.places), are_ready=now == 0.0)
            case Grow():
                self.account.add(len(decision.added), are_ready=now == 0.0)
            case Shrink():
                self.account.remove(self._state.entry(SERVICE).shrinking)
                self._state.resized(SERVICE, shrunk(self._state, SERVICE), now)
            case Preempt():
                self.account.ready_s.clear()
                self._state.preempted(SERVICE, now)
        return True

    def lost(self, job_id: str, now: float) -> bool:
        """See `Companion`: all replicas start again, elsewhere."""
        if job_id != SERVICE:
            return False
        self.account.advance(now)
        self.account.ready_s.clear()
        self._state.requeued(SERVICE, now)
        return True

    def _follow(self, target: Target, now: float) -> None:
        self.behaviour.targets.append((now, target.replicas, target.mode))
        if not self._is_begun:
            self._is_begun = True
            self._state.submit(self._job(target.replicas), check=False)
        self._state.retarget(SERVICE, target.replicas, target.replicas)
        made = self.behaviour.loans[-1][1] if self.behaviour.loans else None
        if target.loan is not None and target.loan != made:
            self.behaviour.loans.append((now, target.loan))
            self._state.set_quota(
                Quota(
                    tenant=self._quota.tenant,
                    guaranteed=self._quota.guaranteed,
                    weight=self._quota.weight,
                    lent={target.loan.resource: target.loan.amount},
                    lent_until_s=target.loan.until_s,
                )
            )

    def _job(self, replicas: int) -> Job:
        asked = self._asked
        return Job(
            id=SERVICE,
            name=SERVICE,
            tenant=asked.tenant,
            user=asked.tenant,
            request=Request(
                workers=replicas,
                is_gang=False,
                devices=asked.devices,
                accelerators=(asked.accelerator,) if asked.accelerator else (),
                cpu_milli=0,
            ),
            submitted_s=0.0,
            priority=asked.priority,
            kind="inference",
            is_preemptible=False,
        )


def in_simulated_time(series: DemandSeries, days: float) -> DemandSeries:
    """The same load, its last `days` days from 0 on."""
    steps = min(len(series) - 1, max(1, round(days * series.steps_per_day)))
    begin = len(series) - steps
    return DemandSeries(
        name=series.name,
        start_s=-begin * series.step_s,
        step_s=series.step_s,
        values=np.maximum(series.values, 0.0),
        latest=np.maximum(series.latest, 0.0),
    )
