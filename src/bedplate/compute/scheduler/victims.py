"""Which running jobs make room for a blocked one: as few as needed, those that lose least, and none unless it then fits.

Candidates come in this order: workers beyond the minimum of elastic jobs; borrowed work, then lower priority; of these
the lowest priority, then what lost least (device-seconds since it started). Of the shortest prefix that makes room, the job
gets the nodes where least is lost, and every candidate that is not needed for that is left alone, the most valuable first.

All of it is worked out in arrays before anybody is asked to end (Volcano committed evictions whose taker then did not fit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.claims import Claim, Claims
from bedplate.compute.scheduler.decision import Decision, Preempt, Shrink
from bedplate.compute.scheduler.entry import HOUR_S, Entry, Phase
from bedplate.compute.scheduler.gang import most_workers, spread
from bedplate.compute.scheduler.ledger import Charge, Tenant
from bedplate.compute.scheduler.needs import Variant
from bedplate.compute.scheduler.placement.arrays import Bools, Ints, States
from bedplate.compute.scheduler.reservations import Reservation, Reservations
from bedplate.compute.scheduler.room import room
from bedplate.compute.scheduler.state import SchedulerState


@dataclass(slots=True, kw_only=True, eq=False)
class Victim:
    """A job, or workers of one, that can make room."""

    entry: Entry
    claim: Claim
    positions: tuple[int, ...]
    """Of the workers; all of the job's, or one beyond its minimum."""
    is_whole: bool
    lost: float
    """Device-seconds, or core-seconds, since it started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How room is made for a job."""

    victims: tuple[Victim, ...]
    reservation: Reservation

    def decisions(self, taker: Entry) -> list[Decision]:
        """Who is asked for what; a job that is asked to end is not asked to shrink."""
        whole = {victim.entry.job.id for victim in self.victims if victim.is_whole}
        parts: dict[str, list[Victim]] = {}
        asked: list[Decision] = []
        for victim in self.victims:
            job = victim.entry.job
            reason = f"'{taker.job.name}' {victim.claim.text}"
            if victim.is_whole:
                asked.append(Preempt(job_id=job.id, beneficiary=taker.job.id, grace_s=job.grace_s, reason=reason))
            elif job.id not in whole:
                parts.setdefault(job.id, []).append(victim)
        for job_id, victims in parts.items():
            allocation = victims[0].entry.allocation
            assert allocation is not None
            released = tuple(allocation.places[victim.positions[0]] for victim in victims)
            reason = f"'{taker.job.name}' {victims[0].claim.text}"
            asked.append(Shrink(job_id=job_id, released=released, beneficiary=taker.job.id, reason=reason))
        return asked

    def gains(self) -> list[tuple[Tenant, Charge]]:
        """What tenants hold less then."""
        return [(victim.entry.tenant, gain_of(victim)) for victim in self.victims]


def gain_of(victim: Victim) -> Charge:
    """What the tenant of a victim is charged for it."""
    entry = victim.entry
    return tuple((name, amount * len(victim.positions) // entry.num_workers) for name, amount in entry.charge)


class VictimSearch:
    """For one pass."""

    def __init__(self, state: SchedulerState, reservations: Reservations, now: float) -> None:
        self._state, self._reservations, self._now = state, reservations, now
        self._asked: set[str] = set()
        """Jobs that were asked already, in this pass or before."""
        self._claims = Claims(state.ledger, state.buckets, now)
        self._least: float | None = None

    def find(self, entry: Entry, variant: Variant) -> Room | None:
        """Who makes room for a blocked job on a model; None if nobody can, or it has no claim on those who could."""
        charge = self._state.charge_of(variant, entry.fewest)
        if not self._state.ledger.has_guarantees and entry.job.priority < self._least_priority():
            return None
        claim_B = self._claims.by_bucket(entry, variant, charge)
        rows_R = self._state.holdings.claimed(claim_B, self._now)
        if not rows_R.any() or not self._is_enough(entry, self._without(entry, variant, rows_R)[1]):
            return None
        with self._state.ledger.trial():
            candidates = self._candidates(entry, charge, claim_B, rows_R)
        low, high = 0, len(candidates)
        if not candidates or not self._suffice(entry, variant, candidates):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._suffice(entry, variant, candidates[:middle]) else (middle, high)
        return self._room(entry, variant, candidates[:high])

    def ask(self, room_made: Room) -> None:
        """These are being asked; they are nobody else's victims."""
        self._asked.update(victim.entry.job.id for victim in room_made.victims)

    def leave_alone(self, job_id: str) -> None:
        """It was asked already."""
        self._asked.add(job_id)

    def _least_priority(self) -> float:
        """The least priority that has any claim where nobody is guaranteed anything."""
        if self._least is None:
            lowest = min((priority for (_, priority, _), _ in self._state.buckets), default=math.inf)
            self._least = lowest if self._state.buckets.has_extra else lowest + 1
        return self._least

    def _candidates(self, entry: Entry, charge: Charge, claim_B: Ints, rows_R: Bools) -> list[Victim]:
        """In their order; each is a candidate when those before it are gone. Changes the ledger."""
        state, found = self._state, list[Victim]()
        numbers = dict(state.buckets)
        for slot in state.holdings.slots_of_rows(rows_R):
            other = state.buckets.entry(slot)
            found += self._parts(entry, other, Claim(claim_B[numbers[other.tenant, other.job.priority, other.model]]))
        found.sort(key=self._rank)
        chosen: list[Victim] = []
        for victim in found:
            other = victim.entry
            if victim.claim is Claim.GUARANTEE:
                claim = self._claims.claim(entry, charge, other.tenant, other.job.priority, other.model)
                if claim is not Claim.GUARANTEE:
                    continue
            state.ledger.leave(other.tenant, gain_of(victim))
            chosen.append(victim)
        return chosen

    def _parts(self, entry: Entry, other: Entry, claim: Claim) -> list[Victim]:
        """What of a running job can make room."""
        if other.phase is not Phase.RUNNING or other.job.id in self._asked or other.shrinking or other.beneficiary:
            return []
        if other.job.id in entry.displaced_by:
            return []
        lost = (self._now - other.started_s) * max(other.job.request.device_milli, 1)
        extra = range(other.num_workers - 1, other.fewest - 1, -1) if other.job.request.is_gang else range(0)
        parts = [Victim(entry=other, claim=claim, positions=(at,), is_whole=False, lost=lost) for at in extra]
        if claim is Claim.EXTRA or not other.job.is_preemptible:
            return parts
        if claim is Claim.PRIORITY and self._state.buckets.ready_s(other) > self._now:
            return parts
        whole = tuple(range(min(other.num_workers, other.fewest) if parts else other.num_workers))
        return [*parts, Victim(entry=other, claim=claim, positions=whole, is_whole=True, lost=lost * len(whole))]

    def _is_spent(self, other: Entry) -> bool:
        return other.preemptions_since(self._now - HOUR_S) >= self._state.settings.preemptions_per_hour

    def _rank(self, victim: Victim) -> tuple[object, ...]:
        entry = victim.entry
        is_borrowed = victim.claim is Claim.GUARANTEE
        return (
            victim.is_whole,
            self._is_spent(entry),
            not is_borrowed,
            entry.job.priority,
            victim.lost,
            -entry.sequence,
            -victim.positions[-1],
        )

    def _suffice(self, entry: Entry, variant: Variant, victims: Sequence[Victim]) -> bool:
        """Whether a job fits, and may, when they are gone."""
        _, room_N = self._without(entry, variant, self._mask(victims))
        return self._is_enough(entry, room_N) and self._is_within_limits(entry, variant, victims)

    def _is_enough(self, entry: Entry, room_N: Ints) -> bool:
        return most_workers(room_N, self._state.nodes.leaf_N, entry.job.request.topology) >= entry.fewest

    def _is_within_limits(self, entry: Entry, variant: Variant, victims: Sequence[Victim]) -> bool:
        ledger = self._state.ledger
        with ledger.trial():
            for victim in victims:
                ledger.leave(victim.entry.tenant, gain_of(victim))
            return ledger.over_limit(entry.tenant, self._state.charge_of(variant, entry.fewest)) is None

    def _without(self, entry: Entry, variant: Variant, gone_R: Bools) -> tuple[States, Ints]:
        state = self._state
        cluster = state.nodes.cluster
        later = state.holdings.free_without(cluster.free, state.nodes.usable_NG, gone_R)
        room_N: Ints = room(later, cluster.requests, variant.item, np.arange(len(later.cpu)))
        labelled_N = state.nodes.labelled(entry.job.request.labels)
        if labelled_N is not None:
            room_N = room_N * labelled_N
        for item in self._reservations.made:
            room_N[item.nodes] = np.minimum(room_N[item.nodes], item.spare_for(variant))
        return later, room_N

    def _mask(self, victims: Sequence[Victim]) -> Bools:
        holdings = self._state.holdings
        return holdings.mask([holdings.rows_of(victim.entry.slot)[at] for victim in victims for at in victim.positions])

    def _room(self, entry: Entry, variant: Variant, victims: list[Victim]) -> Room:
        """The nodes where least is lost, and who must go for that."""
        state = self._state
        _, room_N = self._without(entry, variant, self._mask(victims))
        lost_N = np.zeros(len(room_N))
        for victim in victims:
            for at in victim.positions:
                lost_N[victim.entry.taken[at].node] += 1 + victim.lost / len(victim.positions)
        chosen = spread(room_N, state.nodes.leaf_N, entry.job.request.topology, entry.fewest, lost_N)
        assert chosen is not None
        wanted = dict(chosen)
        needed = [victim for victim in victims if any(victim.entry.taken[at].node in wanted for at in victim.positions)]
        if not self._is_within_limits(entry, variant, needed):
            needed = victims
        for victim in list(reversed(needed)):
            fewer = [other for other in needed if other is not victim]
            if self._still_fits(entry, variant, fewer, chosen):
                needed = fewer
        later, _ = self._without(entry, variant, self._mask(needed))
        at_s = self._now + max((victim.entry.job.grace_s for victim in needed), default=0.0)
        reservation = self._reservations.reservation(entry, variant, at_s, later, chosen)
        return Room(victims=tuple(needed), reservation=reservation)

    def _still_fits(self, entry: Entry, variant: Variant, victims: Sequence[Victim], chosen: Sequence[tuple[int, int]]) -> bool:
        _, room_N = self._without(entry, variant, self._mask(victims))
        return all(room_N[node] >= count for node, count in chosen) and self._is_within_limits(entry, variant, victims)
