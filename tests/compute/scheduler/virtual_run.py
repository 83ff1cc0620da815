"""The scheduler in virtual time: jobs arrive, run as long as they really take, are preempted, resized and end."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping

from bedplate.compute.scheduler.decide import apply, decide, shrunk
from bedplate.compute.scheduler.decision import Decision, Grow, Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.jobs.entry import Phase
from bedplate.compute.scheduler.state import SchedulerState


class VirtualRun:
    """Drives a state. Jobs take the seconds that `durations` says with all their workers, and lose nothing when preempted."""

    def __init__(self, state: SchedulerState, durations: Mapping[str, float] | None = None, default_s: float = 100.0) -> None:
        self.state, self.now = state, 0.0
        self.started_s: dict[str, float] = {}
        """When each job started first."""
        self.ended_s: dict[str, float] = {}
        self.decisions: list[tuple[float, Decision]] = []
        self._durations, self._default_s = durations or {}, default_s
        self._left_s: dict[str, float] = {}
        self._since: dict[str, tuple[int, float]] = {}
        self._generation: dict[str, int] = {}
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        """Something happens then."""
        heapq.heappush(self._events, (when_s, next(self._order), action))

    def submit(self, *jobs: Job) -> None:
        """Jobs arrive when they say."""
        for job in jobs:
            self.at(job.submitted_s, lambda job=job: self.state.submit(job))  # type: ignore[misc]

    def run(self, until_s: float = 1e9, check: Callable[[], None] | None = None) -> None:
        """Let everything happen until then."""
        while self._events and self._events[0][0] <= until_s:
            self.now, _, action = heapq.heappop(self._events)
            action()
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            for _ in range(20):
                if not self._decide():
                    break
            else:
                raise AssertionError("decisions never end")
            if check is not None:
                check()
        self.now = max(self.now, min(until_s, 1e8))

    def names(self, kind: type) -> list[str]:
        """Jobs that decisions of a kind were made for, in order."""
        return [decision.job_id for _, decision in self.decisions if isinstance(decision, kind)]

    def _decide(self) -> bool:
        decisions = decide(self.state, self.now)
        for decision in decisions:
            self.decisions.append((self.now, decision))
            self._carry_out(decision)
        return bool(decisions)

    def _carry_out(self, decision: Decision) -> None:
        job_id = decision.job_id
        match decision:
            case Start():
                apply(self.state, decision, self.now)
                self.started_s.setdefault(job_id, self.now)
                self._go_on(job_id)
            case Preempt():
                apply(self.state, decision, self.now)
                self.at(self.now + decision.grace_s, lambda: self._preempted(job_id))
            case Shrink():
                apply(self.state, decision, self.now)
                self.at(self.now + 1.0, lambda: self._shrunk(job_id))
            case Grow():
                self._pause(job_id)
                apply(self.state, decision, self.now)
                self._go_on(job_id)
            case Refuse():
                apply(self.state, decision, self.now)

    def _go_on(self, job_id: str) -> None:
        workers = self.state.entry(job_id).num_workers
        wanted = self.state.entry(job_id).job.request.workers
        left_s = self._left_s.setdefault(job_id, self._durations.get(job_id, self._default_s))
        self._since[job_id] = (workers, self.now)
        self._generation[job_id] = generation = self._generation.get(job_id, 0) + 1
        self.at(self.now + left_s * wanted / workers, lambda: self._ended(job_id, generation))

    def _pause(self, job_id: str) -> None:
        workers, since_s = self._since[job_id]
        wanted = self.state.entry(job_id).job.request.workers
        self._left_s[job_id] = max(self._left_s[job_id] - (self.now - since_s) * workers / wanted, 0.0)
        self._generation[job_id] += 1

    def _ended(self, job_id: str, generation: int) -> None:
        if self._generation[job_id] == generation:
            self.state.ended(job_id, self.now)
            self.ended_s[job_id] = self.now

    def _preempted(self, job_id: str) -> None:
        if job_id in self.state.running and self.state.entry(job_id).phase is Phase.PREEMPTING:
            self._pause(job_id)
            self.state.preempted(job_id, self.now)

    def _shrunk(self, job_id: str) -> None:
        if job_id in self.state.running and self.state.entry(job_id).shrinking:
            self._pause(job_id)
            self.state.resized(job_id, shrunk(self.state, job_id), self.now)
            self._go_on(job_id)
