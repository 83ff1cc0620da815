"""How far a job is: work done, work lost, and when it will be complete.

Work is counted in seconds of the job as the trace recorded it: with all its workers, on a device of speed 1.0. A job runs in
segments of constant rate. A segment begins when it has its devices and ends when its size changes, when it is asked to stop,
when it loses its devices or when it is complete; what it did in a segment is rate x time, so that nothing is done twice or
forgotten: work done = work asked + work lost.

A job saves itself every `every_s` seconds of a segment, and at its end where it ends in order; saving takes no time away from it
but before it stops. Work since then is lost when it loses its devices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bedplate.compute.simulate.traces.trace import TracedJob

_ROUNDING = 1e-9
"""Relative error of the sum of a few thousand segments."""


@dataclass(slots=True, kw_only=True, eq=False)
class JobWork:
    """One job that has not ended; its owner is the replay."""

    traced: TracedJob
    index: int
    """In the trace."""
    asked: float
    """Work that it takes."""
    done: float = 0.0
    """Work done and not lost, up to `since_s`."""
    lost: float = 0.0
    """Work done and lost, in all."""
    rate: float = 0.0
    """Work a second in this segment; 0 while it waits."""
    since_s: float = 0.0
    """When this segment does its first work: later than its start by what a restart costs."""
    devices: float = 0.0
    """Accelerators that it holds, shares counted as shares."""
    num_workers: int = 0
    epoch: int = 0
    """Of its last change; an event that was filed before is stale."""
    num_preemptions: int = 0
    is_stopping: bool = False
    """Whether it was asked to end and is saving itself."""

    @property
    def ends_s(self) -> float:
        """When it is complete if nothing changes; never while it waits."""
        return self.since_s + (self.asked - self.done) / self.rate if self.rate > 0 else math.inf

    def begin(self, now: float, rate: float, devices: float, num_workers: int, overhead_s: float) -> None:
        """It has its devices from now on, and works after `overhead_s`."""
        assert self.rate == 0.0 and rate > 0
        self.rate, self.devices, self.num_workers = rate, devices, num_workers
        self.since_s = now + overhead_s
        self.epoch += 1

    def end_in_order(self, now: float) -> None:
        """It saved itself and gives its devices back, or changes its size."""
        self.done = min(self.done + self._worked_s(now) * self.rate, self.asked)
        self._stop()

    def end_abruptly(self, now: float, every_s: float) -> float:
        """It lost its devices; returns the work that is lost with them."""
        worked_s = self._worked_s(now)
        saved_s = math.floor(worked_s / every_s) * every_s if every_s > 0 else worked_s
        lost = (worked_s - saved_s) * self.rate
        self.done = min(self.done + saved_s * self.rate, self.asked)
        self.lost += lost
        self._stop()
        return lost

    def complete(self, now: float) -> None:
        """It ends now, its work done."""
        done = self.done + self._worked_s(now) * self.rate
        assert abs(done - self.asked) <= _ROUNDING * max(self.asked, now, 1.0), (done, self.asked)
        self.done = self.asked
        self._stop()

    def _worked_s(self, now: float) -> float:
        """Seconds of this segment in which it worked."""
        return max(0.0, now - self.since_s)

    def _stop(self) -> None:
        self.rate, self.devices, self.num_workers = 0.0, 0.0, 0
        self.is_stopping = False
        self.epoch += 1


def rate_of(speed: float, num_workers: int, wanted_workers: int, scaling: float) -> float:
    """Work a second.

    Args:
        speed: Of the model for this kind of job, relative to 1.0.
        num_workers: That it has.
        wanted_workers: That it asked for.
        scaling: With half of its workers it is 2 ** -scaling times as fast; 1 is linear.
    """
    share: float = (num_workers / wanted_workers) ** scaling
    return speed * share
