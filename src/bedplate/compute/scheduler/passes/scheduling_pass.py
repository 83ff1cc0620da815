"""One pass of the scheduler: what `decide` does inside its trial.

In this order: running jobs whose numbers were changed (`off_target.py`); jobs that others were asked to make room for; waiting
jobs in the order of the queue; elastic jobs that grow into what is left. A job that does not fit is blocked: others may be
asked to make room for it (`victims.py`), and the first blocked ones get reservations (`reservations.py`) that all after them
respect.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from bedplate.compute.scheduler.decision import Decision, Grow, Refuse, Start
from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.jobs.entry import Entry, Phase
from bedplate.compute.scheduler.nodes.needs import Shape, Variant
from bedplate.compute.scheduler.passes.admission import Admission
from bedplate.compute.scheduler.passes.off_target import OffTarget
from bedplate.compute.scheduler.passes.outcome import Outcome
from bedplate.compute.scheduler.passes.reservations import Reservations
from bedplate.compute.scheduler.passes.victims import VictimSearch
from bedplate.compute.scheduler.passes.walk import Walk
from bedplate.compute.scheduler.placement.arrays import Ints
from bedplate.compute.scheduler.quota.ledger import Tenant
from bedplate.compute.scheduler.state import SchedulerState

_TRIES = 2
"""Blocked jobs of a tenant for which a pass looks for victims in vain."""
_GROWING = 64
"""Elastic jobs that a pass tries to grow."""


class SchedulingPass:
    """Used once."""

    def __init__(self, state: SchedulerState, now: float) -> None:
        self._state, self._now = state, now
        self._decisions: list[Decision] = []
        self.reservations = Reservations(state, now)
        self._admission = Admission(state, now)
        self._search = VictimSearch(state, self.reservations, now)
        self._is_untouched = True
        """Nothing was placed yet."""
        self._full: set[Shape] = set()
        """Shapes of which nothing fits any more, whatever is reserved."""
        self._none: set[tuple[int, int, Topology]] = set()
        """Numbers of workers of a class for which there is no room any more."""
        self._barred_s: dict[Shape, float] = {}
        """Jobs of a shape that run longer do not fit beside what is reserved."""
        self._tries: dict[Tenant, int] = {}
        self._extended: set[str] = set()
        """Running jobs that were given more places."""
        self._num_blocked = self._num_looked_at = self._num_settled = 0
        self._unserved: list[Entry] = []
        """Jobs whose room was made and has gone; they come after those that others now make room for."""
        self._walk: Walk | None = None

    def run(self) -> tuple[Decision, ...]:
        """The decisions."""
        state = self._state
        state.memo.refresh()
        for entry in state.refused.values():
            assert entry.refusal is not None
            why, nearest = entry.refusal
            self._decisions.append(Refuse(job_id=entry.job.id, reason=why, nearest=nearest))
        self._leave_out_what_goes()
        self._bring_to_target()
        first = sorted(state.beneficiaries.values(), key=lambda entry: (entry.key, entry.sequence))
        for entry in first:
            rooms = [other.room_on for other in first if other is not entry and other.victims]
            self._serve(entry, set[int]().union(*rooms) - entry.room_on, at_least=len(first) > 1)
        for entry in self._unserved:
            self._block(entry, Outcome.NO_ROOM)
        self._look_through(first)
        self._grow()
        return tuple(self._decisions)

    def _leave_out_what_goes(self) -> None:
        """What was asked back counts as given back, so that no more is asked for than is needed."""
        for entry in self._state.going.values():
            workers = entry.num_workers if entry.phase is Phase.PREEMPTING else len(entry.shrinking)
            gain = tuple((name, amount * workers // max(entry.num_workers, 1)) for name, amount in entry.charge)
            self._state.ledger.leave(entry.tenant, gain)

    def _bring_to_target(self) -> None:
        if self._state.off_target:
            off_target = OffTarget(
                state=self._state, reservations=self.reservations, extend=self._extend, make_room=self._make_room
            )
            for decision in off_target.give_back():
                self._search.leave_alone(decision.job_id)
                self._decisions.append(decision)
            off_target.complete()

    def _serve(self, entry: Entry, others: set[int], *, at_least: bool) -> None:
        """A job for which room is being made starts, or keeps what it waits for.

        Args:
            entry: Which job.
            others: Nodes where room is made for others and not for it; it goes there if nothing else is left.
            at_least: It gets its fewest workers, since others wait for room too, and grows afterwards.
        """
        if entry.not_before_s > self._now or self.start(entry, others, at_least=at_least) is Outcome.STARTED:
            return
        if not any(other.beneficiary == entry.job.id for other in self._state.going.values()):
            self._unserved.append(entry)
        elif (reservation := self.reservations.best(entry)) is not None:
            self.reservations.reserve(reservation)
            self._state.ledger.charge(entry.tenant, self._state.charge_of(reservation.variant, entry.fewest))

    def _look_through(self, done: list[Entry]) -> None:
        """Try the queue."""
        state = self._state
        hopeful = [shape for shape in state.queue.by_shape if state.memo.may_fit(shape)]
        parts = [entry for entry in state.incomplete.values() if not entry.job.request.is_gang and entry.phase is Phase.RUNNING]
        may_claim = state.settings.preemption and self._may_claim()
        if not hopeful and not parts and not may_claim:
            return
        urgent = state.deadlines.urgent(self._now, state.settings.laxity)
        walk = self._walk = Walk(state, self._now, done=done, urgent=urgent, incomplete=parts, hopeful=hopeful)
        while (entry := walk.next()) is not None:
            num_decisions = len(self._decisions)
            same_group = self._try(entry)
            if same_group is None:
                break
            walk.proceed(same_group=same_group)
            if len(self._decisions) == num_decisions and entry.shape not in self._full and state.memo.may_fit(entry.shape):
                self._num_looked_at += 1
            is_settled = not may_claim or self._num_settled >= len(state.queue.tenants)
            if self._num_looked_at >= state.settings.depth or (is_settled and walk.num_hopeful <= 0):
                break
            if self._num_blocked >= state.settings.reservations and (not may_claim or self._is_settled(entry.tenant)):
                walk.narrow(entry.tenant)

    def _is_settled(self, tenant: Tenant) -> bool:
        """Whether no more victims are looked for in this pass for jobs of a tenant."""
        return self._tries.get(tenant, 0) >= _TRIES

    def _may_claim(self) -> bool:
        """Whether any waiting job may have a claim on the place of a running one."""
        state = self._state
        if state.ledger.has_guarantees or state.buckets.has_extra:
            return bool(state.running)
        lowest = min((priority for (_, priority, _), _ in state.buckets), default=math.inf)
        return max(state.queue.priorities, default=-math.inf) > lowest

    def _try(self, entry: Entry) -> bool | None:
        """Start a job if it fits; whether others like it may fit too, or None if the walk is over."""
        if entry.not_before_s > self._now:
            return True
        if entry.phase is Phase.RUNNING:
            self._extend(entry)
            return True
        outcome = self.start(entry)
        if outcome is Outcome.STARTED or outcome is Outcome.PINNED:
            return True
        return self._block(entry, outcome)

    def start(self, entry: Entry, avoided: Collection[int] = (), *, at_least: bool = False) -> Outcome:
        """Start a job on the first model that it accepts, may have, and fits on.

        Args:
            entry: Which job.
            avoided: Nodes that it takes only where others do not do.
            at_least: With its fewest workers.
        """
        state, shape = self._state, entry.shape
        allowed, outcome = self._admission.allowed(entry)
        if not allowed:
            return outcome
        if shape in self._full or not state.memo.may_fit(shape):
            return Outcome.NO_ROOM
        if shape in self._barred_s and self._admission.shortest_s(entry) >= self._barred_s[shape]:
            return Outcome.RESERVED
        for at, (variant, most) in enumerate(allowed):
            end_s = self._admission.end_s(entry, variant, entry.fewest)
            if at and self._is_better_later(entry, allowed[:at], end_s):
                return Outcome.LATER
            most = entry.fewest if at_least else most
            caps_N = self.reservations.caps(variant, end_s)
            if avoided and self._place(entry, variant, most, self._without(caps_N, avoided)):
                return Outcome.STARTED
            if self._place(entry, variant, most, caps_N):
                return Outcome.STARTED
        if not self._admission.has_room(entry):
            self._note_full(shape)
            return Outcome.NO_ROOM
        if len(allowed) == len(shape.variants):
            self._barred_s[shape] = self._admission.shortest_s(entry)
            shortest = state.queue.shortest(shape)
            if self._walk is not None and shortest and self._admission.shortest_s(shortest) >= self._barred_s[shape]:
                self._walk.give_up(shape)
        return Outcome.RESERVED

    def _without(self, caps_N: Ints | None, avoided: Collection[int]) -> Ints:
        """Bounds as they are, and nothing on these nodes."""
        num_nodes = len(self._state.nodes.cluster.nodes)
        bounds_N = np.full(num_nodes, np.iinfo(np.int64).max) if caps_N is None else caps_N.copy()
        bounds_N[list(avoided)] = 0
        return bounds_N

    def _is_better_later(self, entry: Entry, faster: list[tuple[Variant, int]], end_s: float) -> bool:
        """Whether waiting for a faster model, which others then leave alone, lets a job end earlier."""
        if math.isinf(end_s) or self._num_blocked >= self._state.settings.reservations or not self._state.settings.backfill:
            return False
        for variant, _ in faster:
            duration_s = entry.duration_s(variant.model, entry.fewest)
            if duration_s is None or self._now + duration_s >= end_s:
                continue
            reservation = self.reservations.earliest(entry, variant)
            if reservation is not None and reservation.at_s + duration_s < end_s:
                return True
        return False

    def _place(self, entry: Entry, variant: Variant, most: int, caps_N: Ints | None) -> bool:
        state = self._state
        request, fewest = entry.job.request, entry.fewest
        kind = (variant.item, fewest, request.topology)
        if kind in self._none:
            return False
        labelled_N = state.nodes.labelled(request.labels)
        taken = state.placer.place(entry.shape, variant, fewest, most, labelled_N, caps_N)
        if taken is None:
            if caps_N is None and labelled_N is None:
                self._none.add(kind)
            return False
        state.ledger.charge(entry.tenant, state.charge_of(variant, len(taken)), pinned=not entry.job.is_preemptible)
        self.reservations.took(variant, taken, self._admission.end_s(entry, variant, len(taken)))
        allocation = state.placer.allocation(variant.model, taken)
        self._decisions.append(Start(job_id=entry.job.id, allocation=allocation, reason=self._reason()))
        self._is_untouched = False
        return True

    def _reason(self) -> str:
        """Why a job starts now; that it delays nobody is said only where everyone before it has a reservation."""
        if not self._num_blocked:
            return "next in order"
        if self._num_blocked > self._state.settings.reservations or self.reservations.num_without:
            return "passes blocked jobs; those with a reservation are not delayed"
        return "passes blocked jobs without delaying them"

    def _note_full(self, shape: Shape) -> None:
        self._full.add(shape)
        if self._is_untouched:
            self._state.memo.no_room(shape)
        if self._walk is not None:
            self._walk.give_up(shape)

    def _block(self, entry: Entry, outcome: Outcome) -> bool | None:
        """A job waits: room is made for it, or it is not to be delayed. Answers as `_try`."""
        settings = self._state.settings
        if settings.preemption and not self._is_settled(entry.tenant) and outcome is not Outcome.LATER:
            if self._make_room(entry):
                return True
            self._tries[entry.tenant] = self._tries.get(entry.tenant, 0) + 1
            self._num_settled += self._is_settled(entry.tenant)
        if outcome is Outcome.LIMIT:
            return False
        self._num_blocked += 1
        if not settings.backfill:
            return None
        if self._num_blocked <= settings.reservations:
            self.reservations.want(entry)
        return outcome is not Outcome.NO_ROOM

    def _make_room(self, entry: Entry) -> bool:
        """Ask others to end or to shrink, if a job then fits."""
        for variant in entry.shape.variants:
            if not entry.job.is_preemptible and not self._admission.may_pin(entry, variant):
                continue
            found = self._search.find(entry, variant)
            if found is None:
                continue
            self._search.ask(found)
            self._decisions += found.decisions(entry)
            for charged, gain in found.gains():
                self._state.ledger.leave(charged, gain)
            self._state.ledger.charge(entry.tenant, self._state.charge_of(variant, entry.fewest))
            self.reservations.reserve(found.reservation)
            return True
        return False

    def _extend(self, entry: Entry) -> int:
        """Give a running job the workers that it has not yet, as many as fit; once in a pass. Returns their number."""
        state = self._state
        variant = entry.shape.variant(entry.model)
        is_ready = entry.phase is Phase.RUNNING and not entry.shrinking and entry.job.id not in self._extended
        if variant is None or not is_ready:
            return 0
        if not all(state.nodes.is_there(item.node) for item in entry.taken):
            return 0
        most = state.ledger.most_within(entry.tenant, state.charge_of(variant, 1), entry.missing)
        end_s = self._admission.end_s(entry, variant, entry.num_workers)
        caps_N = self.reservations.caps(variant, end_s)
        labelled_N = state.nodes.labelled(entry.job.request.labels)
        added = state.placer.extend(entry.shape, variant, most, labelled_N, caps_N, entry.taken) if most else None
        if added:
            self._extended.add(entry.job.id)
            state.ledger.charge(entry.tenant, state.charge_of(variant, len(added)), pinned=not entry.job.is_preemptible)
            self.reservations.took(variant, added, end_s)
            reason = f"room for {len(added)} of {entry.missing} more workers"
            self._decisions.append(Grow(job_id=entry.job.id, added=state.placer.places(added), reason=reason))
            self._is_untouched = False
        return len(added or ())

    def _grow(self) -> None:
        """Elastic jobs get what nobody else could use."""
        state = self._state
        ready = [
            entry
            for entry in state.incomplete.values()
            if entry.job.request.is_gang
            and entry.phase is Phase.RUNNING
            and self._now - entry.resized_s >= state.settings.least_run
        ]
        for entry in sorted(ready, key=lambda entry: (entry.key, entry.sequence))[:_GROWING]:
            self._extend(entry)
