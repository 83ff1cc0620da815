"""Places kept for blocked jobs: when each can start at the latest, and what others must leave alone so that it does.

A blocked job gets the earliest time at which enough of what runs is expected to have ended, and nodes (EASY backfill, for the
first few blocked jobs instead of one). Another job may use these nodes only if it is expected to end before that time,
or if what is left of them at that time still suffices. So a reserved job is never later than if nobody had passed it, as far as
jobs end when they are expected to; one that overruns is taken to end any moment, so nobody passes on its account.

What a job would take of a reserved node at that time is counted, not packed: a share counts as the whole device.

Source: Mu'alem & Feitelson, "Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with
Backfilling", IEEE TPDS 2001.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bedplate.compute.scheduler.job import WHOLE
from bedplate.compute.scheduler.jobs.entry import Entry
from bedplate.compute.scheduler.nodes.gang import most_workers, spread
from bedplate.compute.scheduler.nodes.needs import Variant
from bedplate.compute.scheduler.nodes.room import room
from bedplate.compute.scheduler.placement.arrays import Floats, Ints, States
from bedplate.compute.scheduler.placement.cluster import Taken
from bedplate.compute.scheduler.state import SchedulerState

_UNLIMITED = np.iinfo(np.int64).max


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """Of one job; K nodes."""

    job_id: str
    variant: Variant
    at_s: float
    """When it can start at the latest, as far as is known."""
    nodes: Ints
    workers_K: Ints
    """Workers that will run on each."""
    cpu_K: Ints
    """Spare at that time beyond what the job needs, in thousandths of a core; grows less as others are let in."""
    memory_K: Ints
    devices_K: Ints
    """Spare devices of its model at that time."""

    def spare_for(self, variant: Variant) -> Ints:
        """Workers of another job that each node can take in addition at that time, shape (K,)."""
        need = variant.need
        spare_K = np.full(len(self.nodes), _UNLIMITED)
        for amount, spare in ((need.cpu_milli, self.cpu_K), (need.memory_mib, self.memory_K)):
            if amount:
                spare_K = np.minimum(spare_K, np.maximum(spare, 0) // amount)
        if need.num_devices and variant.model == self.variant.model:
            spare_K = np.minimum(spare_K, np.maximum(self.devices_K, 0) // need.num_devices)
        return spare_K

    def took(self, variant: Variant, node: int) -> None:
        """A worker of another job will be there at that time."""
        for at in np.flatnonzero(self.nodes == node):
            need = variant.need
            self.cpu_K[at] -= need.cpu_milli
            self.memory_K[at] -= need.memory_mib
            if variant.model == self.variant.model:
                self.devices_K[at] -= need.num_devices


class Reservations:
    """Those of one pass."""

    def __init__(self, state: SchedulerState, now: float) -> None:
        self._state, self._now = state, now
        self._made: list[Reservation] = []
        self._wanted: deque[Entry] = deque()
        self.num_without = 0
        """Jobs that shall not be delayed and of which nobody knows when they can start: the nodes that are there do not do."""
        self._gone_R: Floats | None = None
        """When each worker that runs is expected to be gone."""
        self._caps: dict[tuple[int, tuple[int, ...]], Ints] = {}

    def _ends(self) -> Floats:
        """When each worker that runs is expected to be gone, shape (R,); made on first use."""
        if self._gone_R is None:
            state = self._state
            self._gone_R = state.holdings.ends_of_rows(state.holdings.ends(self._now, state.settings.assumed))
            for entry in state.going.values():
                if entry.shrinking:
                    rows = state.holdings.rows_of(entry.slot)
                    self._gone_R[[rows[at] for at in entry.shrinking]] = self._now + entry.job.grace_s
        return self._gone_R

    @property
    def made(self) -> list[Reservation]:
        """Those that are wanted; worked out when somebody asks, since most passes place nothing."""
        while self._wanted:
            entry = self._wanted.popleft()
            if (best := self.best(entry)) is not None:
                self.reserve(best)
            else:
                self.num_without += 1
        return self._made

    def want(self, entry: Entry) -> None:
        """A blocked job shall not be delayed by what is placed from now on."""
        self._wanted.append(entry)

    def best(self, entry: Entry) -> Reservation | None:
        """On the model on which a job ends first; None if nobody knows when it can start."""
        found = [
            (item, self._end_s(entry, item)) for variant in entry.shape.variants if (item := self.earliest(entry, variant))
        ]
        return min(found, key=lambda pair: pair[1])[0] if found else None

    def _end_s(self, entry: Entry, reservation: Reservation) -> float:
        model = reservation.variant.model
        duration_s = entry.duration_s(model, entry.fewest)
        return reservation.at_s + (duration_s if duration_s is not None else 1 / entry.shape.speed_on(model))

    def caps(self, variant: Variant, end_s: float) -> Ints | None:
        """The most workers that each node may be given which run until `end_s`, shape (N,); None if there are no bounds."""
        made = self.made
        binding = tuple(at for at, item in enumerate(made) if item.at_s < end_s)
        if not binding:
            return None
        if (known := self._caps.get((variant.item, binding))) is None:
            known = self._caps[variant.item, binding] = np.full(len(self._state.nodes.cluster.nodes), _UNLIMITED)
            for item in (made[at] for at in binding):
                known[item.nodes] = np.minimum(known[item.nodes], item.spare_for(variant))
        return known

    def took(self, variant: Variant, taken: Sequence[Taken], end_s: float) -> None:
        """A job was placed that runs until `end_s`."""
        is_reserved = False
        for item in self._made:
            if item.at_s < end_s:
                for place in taken:
                    if place.node in item.nodes:
                        item.took(variant, place.node)
                        is_reserved = True
        if is_reserved:
            self._caps.clear()

    def earliest(self, entry: Entry, variant: Variant) -> Reservation | None:
        """When and where a job can start on a model, after the reservations that are made; None if nobody knows.

        O(log(jobs) * nodes * devices).
        """
        gone_R = self._ends()
        times = np.unique(gone_R[np.isfinite(gone_R)])
        low, high = -1, len(times) - 1
        if high < 0 or not self._fits(entry, variant, times[high]):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fits(entry, variant, times[middle]) else (middle, high)
        return self._planned(entry, variant, float(times[high]))

    def reserve(self, reservation: Reservation) -> None:
        """Others must leave that alone from now on."""
        self._made.append(reservation)
        self._caps.clear()

    def _fits(self, entry: Entry, variant: Variant, at_s: float) -> bool:
        _, room_N = self._later(entry, variant, at_s)
        return most_workers(room_N, self._state.nodes.leaf_N, entry.job.request.topology) >= entry.fewest

    def _later(self, entry: Entry, variant: Variant, at_s: float) -> tuple[States, Ints]:
        """What is free at a time, and how many workers each node has room for."""
        state = self._state
        cluster = state.nodes.cluster
        later = state.holdings.free_without(cluster.free, state.nodes.usable_NG, self._ends() <= at_s)
        room_N: Ints = room(later, cluster.requests, variant.item, np.arange(len(later.cpu)))
        for item in self._made:
            room_N[item.nodes] = np.minimum(room_N[item.nodes], item.spare_for(variant))
        labelled_N = state.nodes.labelled(entry.job.request.labels)
        return later, room_N if labelled_N is None else room_N * labelled_N

    def _planned(self, entry: Entry, variant: Variant, at_s: float) -> Reservation:
        later, room_N = self._later(entry, variant, at_s)
        leaf_N, topology = self._state.nodes.leaf_N, entry.job.request.topology
        chosen = spread(room_N, leaf_N, topology, entry.fewest, np.zeros(len(room_N)))
        assert chosen is not None
        return self.reservation(entry, variant, at_s, later, chosen)

    def reservation(
        self, entry: Entry, variant: Variant, at_s: float, later: States, chosen: Sequence[tuple[int, int]]
    ) -> Reservation:
        """For so many workers of a job on each of these nodes, when `later` is free."""
        nodes, workers_K = np.array(chosen, np.int64).T
        need = variant.need
        devices_K = np.zeros(len(nodes), np.int64)
        if need.num_devices:
            model = self._state.nodes.cluster.models.index(variant.model)
            shares_KG = later.shares[nodes] * (later.model[nodes] == model)
            per_device = WHOLE // need.share_milli
            devices_K = (shares_KG == WHOLE).sum(axis=1)
            partly = ((shares_KG // need.share_milli) * (shares_KG < WHOLE)).sum(axis=1)
            devices_K -= -(-np.maximum(workers_K - partly, 0) // per_device) * need.num_devices
        return Reservation(
            job_id=entry.job.id,
            variant=variant,
            at_s=at_s,
            nodes=nodes,
            workers_K=workers_K,
            cpu_K=later.cpu[nodes] - workers_K * need.cpu_milli,
            memory_K=later.memory[nodes] - workers_K * need.memory_mib,
            devices_K=devices_K,
        )
