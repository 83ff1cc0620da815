"""The replay: events in virtual time, and the scheduler's decisions between them.

Arrivals are read from the trace, which is sorted; everything else waits in a heap. Events of one moment are all told to the
state before it decides, so that a decision sees what a live scheduler would see, and a million jobs cost no more decisions
than there are moments. An event that was overtaken (the job it is about changed meanwhile) is recognised by the job's epoch.

`decide` and the state are those of the live service; what jobs, nodes and checkpoints do is in `work.py` and `failures.py`.
"""

from __future__ import annotations

import copy
import enum
import heapq
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bedplate.compute.scheduler.decide import apply, decide, shrunk
from bedplate.compute.scheduler.decision import Decision, Grow, Preempt, Refuse, Shrink, Start
from bedplate.compute.scheduler.job import WHOLE, Allocation, Job, WorkerPlace
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.wake import next_decision_s
from bedplate.compute.simulate.replay.companion import Companion
from bedplate.compute.simulate.replay.conditions import Conditions
from bedplate.compute.simulate.replay.failures import Failures
from bedplate.compute.simulate.replay.observing import Left, Observer
from bedplate.compute.simulate.replay.work import JobWork, rate_of
from bedplate.compute.simulate.traces.trace import Trace
from bedplate.core.devices import Node
from bedplate.core.reporter import NullReporter, Reporter

_REPORT_EVERY = 2048
_UNATTENDED_S = 60.0
"""Where nothing happens for so long, the scheduler is asked when it would decide by itself; that is O(jobs), so not oftener."""
_PATIENCE = 4
"""Failures and repairs of each node after which jobs that still cannot start never will."""


class _Event(enum.IntEnum):
    """What happens; at one moment in this order, so that places are free before anybody asks for them."""

    COMPLETE = 0
    STOPPED = 1
    NODE_FAILS = 2
    NODE_BACK = 3


_Filed: TypeAlias = tuple[float, int, int, JobWork | int, int]
"""When, what, in which order it was filed, what about (a job, or a node's index), and the job's epoch then."""


class Replay:
    """One trace under one scheduler, once."""

    def __init__(
        self,
        trace: Trace,
        nodes: Sequence[Node],
        state: SchedulerState,
        conditions: Conditions,
        observers: Sequence[Observer],
        companion: Companion | None = None,
    ) -> None:
        """Prepare.

        Args:
            trace: Jobs, sorted by time of submission.
            nodes: Those of the state.
            state: Without jobs.
            conditions: What the world does.
            observers: Told of everything.
            companion: What else goes on in the cluster; the replay ends with it.
        """
        self._trace, self._nodes, self._state = trace, tuple(nodes), state
        self._conditions, self._observers, self._companion = conditions, tuple(observers), companion
        self._failures = Failures(conditions, len(nodes))
        self._intact = copy.deepcopy(state) if self._failures.happen else state
        """The cluster while no node is down: a job that could run there is not refused but waits for the repair."""
        self._works: dict[str, JobWork] = {}
        self._heap: list[_Filed] = []
        self._num_filed = 0
        self._next = 0
        self._decided_s = -math.inf
        self._idle_node_events = 0
        self._patience = 2 * _PATIENCE * len(self._nodes) if self._failures.happen else 0
        self.num_decisions = 0
        """How often the scheduler was asked."""

    def run(self, reporter: Reporter | None = None) -> float:
        """Replay until every job has ended, or until those that are left can never run; returns when that was, in seconds."""
        reporter = reporter or NullReporter()
        for node in range(len(self._nodes)) if self._failures.happen else ():
            self._file(self._failures.up_s(node), _Event.NODE_FAILS, node)
        now, total = 0.0, len(self._trace.jobs)
        while self._goes_on and (moment_s := self._next_moment(now)) < math.inf:
            now = max(moment_s, self._decided_s + self._conditions.period_s)
            self._happen_until(now)
            self._carry_out_decisions(now)
            if self.num_decisions % _REPORT_EVERY == 0:
                reporter.check_cancelled()
                reporter.progress(self._next - len(self._works), total, "jobs")
        return now

    @property
    def works(self) -> Mapping[str, JobWork]:
        """Jobs that have not ended, by id."""
        return self._works

    @property
    def _goes_on(self) -> bool:
        if self._companion is not None:
            return self._companion.next_s < math.inf
        return self._next < len(self._trace.jobs) or bool(self._works)

    def _next_moment(self, now: float) -> float:
        """When something happens next, or the scheduler may think otherwise; infinity if nothing can change any more."""
        arrival_s = self._arrival_s()
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        is_hopeless = arrival_s == math.inf and not self._state.running and self._idle_node_events >= self._patience
        companion_s = math.inf if self._companion is None else self._companion.next_s
        moment_s = min(arrival_s, companion_s, self._heap[0][0] if self._heap and not is_hopeless else math.inf)
        if moment_s - now > _UNATTENDED_S and (self._state.queue or self._state.incomplete):
            by_itself_s = next_decision_s(self._state, now)
            if by_itself_s is not None:
                moment_s = min(moment_s, max(by_itself_s, now + _UNATTENDED_S))
        return moment_s

    def _arrival_s(self) -> float:
        jobs = self._trace.jobs
        return jobs[self._next].job.submitted_s if self._next < len(jobs) else math.inf

    def _happen_until(self, now: float) -> None:
        """Everything up to and with `now`, in order of time; at one moment arrivals come last."""
        while (arrival_s := self._arrival_s()) <= now or (self._heap and self._heap[0][0] <= now):
            if not self._heap or self._heap[0][0] > arrival_s:
                self._arrive()
            elif not self._is_stale(event := heapq.heappop(self._heap)):
                self._happen(event)
        while self._companion is not None and self._companion.next_s <= now:
            self._companion.happen(now)

    def _is_stale(self, event: _Filed) -> bool:
        subject = event[3]
        return isinstance(subject, JobWork) and subject.epoch != event[4]

    def _happen(self, event: _Filed) -> None:
        now, kind, _, subject, _ = event
        if isinstance(subject, int):
            self._node_changes(subject, now, is_up=kind == _Event.NODE_BACK)
        elif kind == _Event.COMPLETE:
            self._complete(subject, now)
        else:
            self._stopped(subject, now)

    def _arrive(self) -> None:
        traced = self._trace.jobs[self._next]
        job = traced.job
        first = job.request.accelerators[0] if job.request.accelerators else ""
        asked = traced.duration_s * (self._state.catalog.speed_of(job.kind, first) if first else 1.0)
        work = self._works[job.id] = JobWork(traced=traced, index=self._next, asked=asked)
        self._next += 1
        is_intact = len(self._state.nodes.machines) == len(self._nodes)
        self._state.submit(job, check=is_intact or self._never_runs(job))
        for observer in self._observers:
            observer.submitted(work, job.submitted_s)

    def _never_runs(self, job: Job) -> bool:
        self._intact.submit(job)
        is_refused = job.id in self._intact.refused
        self._intact.withdraw(job.id)
        return is_refused

    def _complete(self, work: JobWork, now: float) -> None:
        places = self._places(work)
        self._state.ended(work.traced.job.id, now)
        del self._works[work.traced.job.id]
        self._leave(work, places, now, Left.COMPLETE)

    def _stopped(self, work: JobWork, now: float) -> None:
        """A job that was asked to end has saved itself, or was too slow to."""
        places, job = self._places(work), work.traced.job
        self._leave(work, places, now, Left.PREEMPTED)
        work.num_preemptions += 1
        self._state.preempted(job.id, now, done_frac=work.done_frac)

    def _node_changes(self, at: int, now: float, *, is_up: bool) -> None:
        node = self._nodes[at]
        for observer in self._observers:
            observer.capacity_changed(node.id, is_up, now)
        self._idle_node_events += 1
        if is_up:
            self._state.node_added(node)
            self._file(now + self._failures.up_s(at), _Event.NODE_FAILS, at)
            return
        for job in self._state.node_lost(node.id):
            if self._companion is not None and self._companion.lost(job.id, now):
                continue
            work = self._works[job.id]
            places = self._places(work)
            self._leave(work, places, now, Left.NODE_LOST)
            self._state.requeued(job.id, now, done_frac=work.done_frac)
        self._file(now + self._failures.down_s(at), _Event.NODE_BACK, at)

    def _carry_out_decisions(self, now: float) -> None:
        """Ask until there is nothing to do at this moment: places that a job gives back at once may be given away."""
        while True:
            decisions = decide(self._state, now)
            self.num_decisions += 1
            for decision in decisions:
                self._carry_out(decision, now)
            if not any(isinstance(decision, Shrink) for decision in decisions):
                break
        self._decided_s = now
        for observer in self._observers:
            observer.decided(now, len(self._state.queue))

    def _carry_out(self, decision: Decision, now: float) -> None:
        if self._companion is not None and self._companion.carry_out(decision, now):
            return
        work, state = self._works[decision.job_id], self._state
        held = self._places(work)
        apply(state, decision, now)
        match decision:
            case Start():
                self._begin(work, decision.allocation, now)
            case Preempt():
                self._ask_to_stop(work, now)
            case Shrink():
                state.resized(decision.job_id, shrunk(state, decision.job_id), now)
                self._resize(work, held, now)
            case Grow():
                self._resize(work, held, now)
            case Refuse():
                del self._works[decision.job_id]
                for observer in self._observers:
                    observer.refused(work, now, decision.reason)

    def _begin(self, work: JobWork, allocation: Allocation, now: float) -> None:
        job, count = work.traced.job, len(allocation.places)
        speed = self._state.catalog.speed_of(job.kind, allocation.model)
        work.begin(
            now,
            rate=rate_of(speed, count, job.request.workers, self._conditions.scaling),
            devices=count * job.request.device_milli / WHOLE,
            num_workers=count,
            overhead_s=self._conditions.restart_s if work.has_run else 0.0,
        )
        self._idle_node_events = 0
        self._file(work.ends_s, _Event.COMPLETE, work)
        for observer in self._observers:
            observer.began(work, allocation.places, now)

    def _ask_to_stop(self, work: JobWork, now: float) -> None:
        """It saves itself if its grace allows, unless it is complete before that."""
        takes_s = min(self._conditions.checkpoint_takes_s, work.traced.job.grace_s)
        if work.ends_s <= now + takes_s:
            return
        work.stop_working(now)
        self._file(now + takes_s, _Event.STOPPED, work)

    def _resize(self, work: JobWork, held: Sequence[WorkerPlace], now: float) -> None:
        """It goes on with the places that the state has for it now."""
        self._leave(work, held, now, Left.RESIZED)
        allocation = self._state.entry(work.traced.job.id).allocation
        assert allocation is not None, "it runs"
        self._begin(work, allocation, now)

    def _leave(self, work: JobWork, places: Sequence[WorkerPlace], now: float, why: Left) -> None:
        """It holds nothing from now on; what it did is kept or lost, by why it left."""
        grace_s, takes_s = work.traced.job.grace_s, self._conditions.checkpoint_takes_s
        if why is Left.COMPLETE:
            segment = work.complete(now)
        elif why is Left.RESIZED or (why is Left.PREEMPTED and takes_s <= grace_s):
            segment = work.end_in_order(now)
        else:
            segment = work.end_abruptly(now, self._conditions.checkpoint_every_s)
        for observer in self._observers:
            observer.left(work, places, now, why, segment)

    def _places(self, work: JobWork) -> tuple[WorkerPlace, ...]:
        allocation = self._state.entry(work.traced.job.id).allocation
        return allocation.places if allocation is not None else ()

    def _file(self, at_s: float, kind: _Event, subject: JobWork | int) -> None:
        self._num_filed += 1
        epoch = subject.epoch if isinstance(subject, JobWork) else 0
        heapq.heappush(self._heap, (at_s, kind, self._num_filed, subject, epoch))
