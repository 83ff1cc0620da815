"""How far a job is: work done, work lost, and when it will be complete.

Work is counted in seconds of the job as the trace recorded it: with all its workers, on a device of speed 1.0. A job runs in
segments of constant rate. A segment begins when it has its devices and ends when its size changes, when it is asked to stop,
when it loses its devices or when it is complete; what it did in a segment is rate x time, so that nothing is done twice or
forgotten: work done = work asked + work lost.

A job saves itself every `every_s` seconds of a segment, and at its end where it ends in order; saving takes no time away from
its work but before it stops. What it did since then is lost when it loses its devices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bedplate.compute.simulate.traces.trace import TracedJob

_ROUNDING = 1e-9
"""Relative error of the sum of a few thousand segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a job did with the devices that it held for a while."""

    held_s: float
    worked_s: float
    """At most `held_s`: restarts and saving take their part."""
    saved_s: float
    """Of that, what was not lost."""
    devices: float
    num_workers: int


@dataclass(slots=True, kw_only=True, eq=False)
class JobWork:
    """One job that has not ended; its owner is the replay."""

    traced: TracedJob
    index: int
    """In the trace."""
    asked: float
    """Work that it takes."""
    done: float = 0.0
    """Work done in earlier segments, and not lost."""
    lost: float = 0.0
    """Work done and lost, in all."""
    rate: float = 0.0
    """Work a second in this segment; 0 while it waits."""
    began_s: float = 0.0
    """When this segment began."""
    works_s: float = 0.0
    """When it does its first work in this segment: later than its begin by what a restart costs."""
    stops_working_s: float = math.inf
    """When it did its last work in this segment; never, unless it was asked to end."""
    devices: float = 0.0
    """Accelerators that it holds, shares counted as shares."""
    num_workers: int = 0
    epoch: int = 0
    """Of its last change; an event that was filed before is stale."""
    has_run: bool = False
    num_preemptions: int = 0

    @property
    def ends_s(self) -> float:
        """When it is complete if nothing changes; never while it waits."""
        return self.works_s + (self.asked - self.done) / self.rate if self.rate > 0 else math.inf

    @property
    def done_frac(self) -> float:
        """How much of it was done before this segment, 0 to 1."""
        return self.done / self.asked if self.asked > 0 else 1.0

    def begin(self, now: float, rate: float, devices: float, num_workers: int, overhead_s: float) -> None:
        """It has its devices from now on, and works after `overhead_s`."""
        assert self.rate == 0.0 and rate > 0
        self.rate, self.devices, self.num_workers = rate, devices, num_workers
        self.began_s, self.works_s, self.stops_working_s = now, now + overhead_s, math.inf
        self.has_run = True
        self.epoch += 1

    def stop_working(self, now: float) -> None:
        """It saves itself from now on, and still holds its devices."""
        self.stops_working_s = now
        self.epoch += 1

    def end_in_order(self, now: float) -> Segment:
        """It saved itself, and holds nothing from now on."""
        worked_s = self._worked_s(now)
        return self._end(now, worked_s, worked_s)

    def end_abruptly(self, now: float, every_s: float) -> Segment:
        """It lost its devices, and what it did since it last saved itself."""
        worked_s = self._worked_s(now)
        return self._end(now, worked_s, math.floor(worked_s / every_s) * every_s if every_s > 0 else worked_s)

    def complete(self, now: float) -> Segment:
        """It ends now, its work done."""
        worked_s = self._worked_s(now)
        segment = self._end(now, worked_s, worked_s)
        assert abs(self.done - self.asked) <= _ROUNDING * max(self.asked, now, 1.0), (self.done, self.asked)
        self.done = self.asked
        return segment

    def _worked_s(self, now: float) -> float:
        """Seconds of this segment in which it worked."""
        return max(0.0, min(now, self.stops_working_s) - self.works_s)

    def _end(self, now: float, worked_s: float, saved_s: float) -> Segment:
        segment = Segment(
            held_s=now - self.began_s,
            worked_s=worked_s,
            saved_s=saved_s,
            devices=self.devices,
            num_workers=self.num_workers,
        )
        self.done += saved_s * self.rate
        self.lost += (worked_s - saved_s) * self.rate
        self.rate, self.devices, self.num_workers = 0.0, 0.0, 0
        self.epoch += 1
        return segment


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
