"""One walk through the queue, in the order that the rules give, with what tenants hold as it changes on the way.

Each tenant's groups are sorted already, so a walk costs what it looks at: a heap of tenants, and for each a cursor into its
groups. Starting jobs only ever puts their tenant back, so a key in the heap that is too low is found out at the top.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.ledger import Tenant
from bedplate.compute.scheduler.needs import Shape
from bedplate.compute.scheduler.queue.order import Key
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.waiting import Group, Place

Rank: TypeAlias = tuple[Key, Key, Key, Key]
"""Rights, rules for jobs before the rule for tenants, that rule, rules for jobs after it."""


class Walk:
    """Hands out waiting jobs one after the other; the caller says whether the rest of a job's group is worth a look."""

    def __init__(
        self,
        state: SchedulerState,
        now: float,
        *,
        done: Iterable[Entry] = (),
        urgent: Iterable[Entry] = (),
        incomplete: Iterable[Entry] = (),
        hopeful: Iterable[Shape] = (),
    ) -> None:
        """Args:
        state: Not changed in its queue while the walk goes on.
        now: In seconds.
        done: Jobs that are left out.
        urgent: Jobs that go before their equals, whatever their tenants hold.
        incomplete: Running jobs whose other workers wait in their place.
        hopeful: Shapes of which something may fit; the walk counts how many of their groups it has not finished.
        """
        self._state, self._now = state, now
        self._before = state.order.num_before
        self._seen = {entry.sequence for entry in done}
        self._heap: list[tuple[Rank, int, int, _Cursor | _Single]] = []
        self._pushes = itertools.count()
        self._narrow: set[Tenant] = set()
        self._open = {shape: len(state.queue.by_shape[shape]) for shape in hopeful}
        self.num_hopeful = sum(self._open.values())
        """Groups of hopeful shapes that are not finished."""
        for entry in (*urgent, *incomplete):
            if entry.sequence not in self._seen:
                self._push(_Single(entry, is_urgent=bool(entry.job.deadline_s) and not entry.taken))
                self.num_hopeful += 1
        for groups in state.queue.tenants.values():
            self._push(_Cursor(groups))
        self._source: _Cursor | _Single

    def next(self) -> Entry | None:
        """The next job; None at the end. Call `proceed` before the next one."""
        while self._heap:
            rank, _, _, source = heapq.heappop(self._heap)
            entry = source.entry
            if entry.sequence in self._seen or not self._is_of_interest(source):
                self._source = source
                self.proceed(same_group=True)
                continue
            if source.changes != _changes(entry) and self._rank(source) > rank:
                self._push(source)
                continue
            self._source = source
            self._seen.add(entry.sequence)
            return entry
        return None

    def proceed(self, *, same_group: bool) -> None:
        """Go on after the job that `next` gave; with the next of its group among others, or without its group."""
        source = self._source
        if isinstance(source, _Single):
            self.num_hopeful -= 1
            return
        shape = source.entry.shape
        is_finished = source.advance(same_group=same_group and self._is_of_interest(source))
        while not source.is_done and not self._is_of_interest(source):
            source.advance(same_group=False)
        if is_finished and self._open.get(shape, 0):
            self._open[shape] -= 1
            self.num_hopeful -= 1
        self._push(source)

    def narrow(self, tenant: Tenant) -> None:
        """From now on hand out jobs of hopeful shapes only, of that tenant."""
        self._narrow.add(tenant)

    def _is_of_interest(self, source: _Cursor | _Single) -> bool:
        entry = source.entry
        return entry.tenant not in self._narrow or isinstance(source, _Single) or self._open.get(entry.shape, 0) > 0

    def give_up(self, shape: Shape) -> None:
        """Nothing of that shape fits any more."""
        self.num_hopeful -= self._open.pop(shape, 0)

    def _push(self, source: _Cursor | _Single) -> None:
        if isinstance(source, _Cursor) and source.is_done:
            return
        entry = source.entry
        source.changes = _changes(entry)
        heapq.heappush(self._heap, (self._rank(source), entry.sequence, next(self._pushes), source))

    def _rank(self, source: _Cursor | _Single) -> Rank:
        is_urgent = isinstance(source, _Single) and source.is_urgent
        return rank_of(self._state, source.entry, self._now, is_urgent=is_urgent)


def rank_of(state: SchedulerState, entry: Entry, now: float, *, is_urgent: bool) -> Rank:
    """Where a job stands now; the lowest rank is looked at first."""
    variants, before = entry.shape.variants, state.order.num_before
    charge = state.charge_of(variants[0], entry.fewest) if variants else ()
    rights = state.order.rights(entry.tenant, charge, now) if charge else ()
    share = () if is_urgent else state.order.tenant_key(entry.tenant, charge, now)
    return rights, entry.key[:before], share, entry.key[before:]


def _changes(entry: Entry) -> int:
    """Grows with every change of what a job's tenant, or one above it, holds."""
    return sum(member.changes for member in entry.tenant.line)


@dataclass(slots=True)
class _Single:
    """One job by itself."""

    entry: Entry
    is_urgent: bool
    changes: int = -1
    """What the tenant's key was computed for."""


class _Cursor:
    """Where the walk is in the groups of one tenant."""

    def __init__(self, groups: list[tuple[Place, Group]]) -> None:
        self._groups = groups
        self.changes = -1
        """What the tenant's key was computed for."""
        self._at = 0
        self._more: list[tuple[Place, int, Group]] = []
        """Groups whose first jobs were seen: place of the next one, its position, group."""
        self._current: tuple[Place, int, Group]
        self.is_done = False
        self._take()

    @property
    def entry(self) -> Entry:
        """The job here."""
        _, position, group = self._current
        return group.jobs[position][1]

    def advance(self, *, same_group: bool) -> bool:
        """To the next job in order; with or without the rest of this one's group. Whether that group is finished."""
        _, position, group = self._current
        is_finished = not same_group or position + 1 == len(group.jobs)
        if not is_finished:
            heapq.heappush(self._more, (group.jobs[position + 1][0], position + 1, group))
        self._take()
        return is_finished

    def _take(self) -> None:
        has_new = self._at < len(self._groups)
        if self._more and not (has_new and self._groups[self._at][0] < self._more[0][0]):
            self._current = heapq.heappop(self._more)
        elif has_new:
            place, group = self._groups[self._at]
            self._at += 1
            self._current = (place, 0, group)
        else:
            self.is_done = True
