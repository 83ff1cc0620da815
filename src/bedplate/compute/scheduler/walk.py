"""One walk through the queue, in the order that the rules give, with what tenants hold as it changes on the way.

Each tenant's groups are sorted already, so a walk costs what it looks at: a heap of tenants, and for each a cursor into its
groups. Starting jobs only ever puts their tenant back, so a key in the heap that is too low is found out at the top.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.ledger import Tenant
from bedplate.compute.scheduler.queue.order import Key
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.waiting import Group, Place


class Walk:
    """Hands out waiting jobs one after the other; the caller says whether the rest of a job's group is worth a look."""

    def __init__(self, state: SchedulerState, now: float, first: Iterable[Entry] = ()) -> None:
        """Args:
        state: Not changed in its queue while the walk goes on.
        now: In seconds.
        first: Jobs that go before all others of their tenants' keys: those whose deadline is near.
        """
        self._state, self._now = state, now
        self._before = state.order.num_before
        self._seen: set[int] = set()
        self._heap: list[tuple[Key, Key, Key, int, _Cursor | Entry]] = []
        for entry in first:
            heapq.heappush(self._heap, (entry.key[: self._before], (), entry.key[self._before :], entry.sequence, entry))
        for tenant, groups in state.queue.tenants.items():
            self._push(_Cursor(tenant, groups))
        self._cursor: _Cursor | None = None

    def next(self) -> Entry | None:
        """The next job; None at the end. Call `proceed` before the next one."""
        while self._heap:
            *keys, _, source = heapq.heappop(self._heap)
            if isinstance(source, Entry):
                self._cursor = None
                self._seen.add(source.sequence)
                return source
            entry = source.entry
            if entry.sequence in self._seen:
                source.advance(same_group=True)
                self._push(source)
                continue
            if self._tenant_key(entry) > keys[1]:
                self._push(source)
                continue
            self._cursor = source
            return entry
        return None

    def proceed(self, *, same_group: bool) -> None:
        """Go on after the job that `next` gave; with the next of its group among others, or without its group."""
        if self._cursor is not None:
            self._cursor.advance(same_group=same_group)
            self._push(self._cursor)

    def drop_tenant(self) -> None:
        """Look at no more jobs of the tenant of the job that `next` gave; instead of `proceed`."""

    def _push(self, cursor: _Cursor) -> None:
        if cursor.is_done:
            return
        entry = cursor.entry
        before, after = entry.key[: self._before], entry.key[self._before :]
        heapq.heappush(self._heap, (before, self._tenant_key(entry), after, entry.sequence, cursor))

    def _tenant_key(self, entry: Entry) -> Key:
        variants = entry.shape.variants
        charge = self._state.charge_of(variants[0], entry.fewest) if variants else ()
        return self._state.order.tenant_key(entry.tenant, charge, self._now)


class _Cursor:
    """Where the walk is in the groups of one tenant."""

    def __init__(self, tenant: Tenant, groups: list[tuple[Place, Group]]) -> None:
        self.tenant = tenant
        self._groups = groups
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

    def advance(self, *, same_group: bool) -> None:
        """To the next job in order; with or without the rest of this one's group."""
        _, position, group = self._current
        if same_group and position + 1 < len(group.jobs):
            heapq.heappush(self._more, (group.jobs[position + 1][0], position + 1, group))
        self._take()

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
