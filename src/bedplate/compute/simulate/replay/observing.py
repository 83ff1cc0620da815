"""What a replay tells those who watch: metrics, and the timeline for people."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from bedplate.compute.scheduler.job import WorkerPlace
from bedplate.compute.simulate.replay.work import JobWork, Segment


class Left(enum.StrEnum):
    """Why a job gave its places back, or some of them."""

    COMPLETE = "complete"
    PREEMPTED = "preempted"
    NODE_LOST = "node lost"
    RESIZED = "resized"


class Observer(Protocol):
    """Is told of everything, in order of time. Calls return immediately."""

    def submitted(self, work: JobWork, now: float) -> None:
        """A job waits, for the first time."""
        ...

    def began(self, work: JobWork, places: Sequence[WorkerPlace], now: float) -> None:
        """It holds these places from now on."""
        ...

    def left(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left, segment: Segment) -> None:
        """It holds none of these places any more; after `RESIZED` it begins again at once, with others."""
        ...

    def refused(self, work: JobWork, now: float, reason: str) -> None:
        """It will never run."""
        ...

    def capacity_changed(self, node: str, is_up: bool, now: float) -> None:
        """A node failed, or is back."""
        ...

    def decided(self, now: float, num_waiting: int) -> None:
        """The decisions of this moment are carried out."""
        ...
