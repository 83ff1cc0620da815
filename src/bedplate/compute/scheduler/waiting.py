"""The queue: waiting jobs by tenant and shape, kept sorted, so that a pass costs what it looks at.

Jobs of one tenant and one shape are a group: where its first one does not fit, none does, and a pass goes on to the next group.
A tenant's groups are sorted by their first jobs. All keys are fixed while jobs wait (see `queue/base.py`).
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from bedplate.compute.scheduler.entry import Entry
from bedplate.compute.scheduler.ledger import Tenant
from bedplate.compute.scheduler.needs import Shape

Place: TypeAlias = tuple[tuple[float, ...], int]
"""A job's place in the queue of its tenant: key and sequence number."""


def place_of(entry: Entry) -> Place:
    """Where a job stands in the queue of its tenant."""
    return entry.key, entry.sequence


@dataclass(slots=True, kw_only=True, eq=False)
class Group:
    """Jobs of one tenant and one shape."""

    tenant: Tenant
    shape: Shape
    jobs: list[tuple[Place, Entry]] = field(default_factory=list)
    """By place, the first one first."""
    left_s: Counter[float] = field(default_factory=Counter)
    """How many jobs have so much left to run at speed 1; infinity where nobody knows."""


class WaitingQueue:
    """All jobs that wait. Has one owner, the state."""

    def __init__(self) -> None:
        self.tenants: dict[Tenant, list[tuple[Place, Group]]] = {}
        """Groups of each tenant that has any, sorted."""
        self.by_shape: dict[Shape, dict[Tenant, Group]] = {}
        self.priorities: Counter[int] = Counter()
        """How many jobs of each priority wait."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, entry: Entry) -> None:
        """A job waits; O(log n) and a shift."""
        groups = self.by_shape.setdefault(entry.shape, {})
        group = groups.get(entry.tenant)
        if group is None:
            group = groups[entry.tenant] = Group(tenant=entry.tenant, shape=entry.shape)
        group.left_s[entry.left_s] += 1
        before = group.jobs[0][0] if group.jobs else None
        bisect.insort(group.jobs, (place_of(entry), entry), key=lambda item: item[0])
        self._size += 1
        self.priorities[entry.job.priority] += 1
        self._moved(group, before)

    def remove(self, entry: Entry) -> None:
        """A job waits no longer."""
        group = self.by_shape[entry.shape][entry.tenant]
        before = group.jobs[0][0]
        at = bisect.bisect_left(group.jobs, place_of(entry), key=lambda item: item[0])
        assert group.jobs[at][1] is entry
        del group.jobs[at]
        group.left_s[entry.left_s] -= 1
        if not group.left_s[entry.left_s]:
            del group.left_s[entry.left_s]
        self._size -= 1
        self.priorities[entry.job.priority] -= 1
        if not self.priorities[entry.job.priority]:
            del self.priorities[entry.job.priority]
        self._moved(group, before)
        if not group.jobs:
            del self.by_shape[entry.shape][entry.tenant]
            if not self.by_shape[entry.shape]:
                del self.by_shape[entry.shape]

    def shortest(self, shape: Shape) -> Entry | None:
        """A job of that shape with the least left to run; None if none waits. O(tenants * different durations)."""
        groups = self.by_shape.get(shape, {}).values()
        group = min(groups, key=lambda group: min(group.left_s), default=None)
        if group is None:
            return None
        least_s = min(group.left_s)
        return next(entry for _, entry in group.jobs if entry.left_s == least_s)

    def __iter__(self) -> Iterator[Entry]:
        """All that wait, tenant by tenant and group by group."""
        for groups in self.tenants.values():
            for _, group in groups:
                yield from (entry for _, entry in group.jobs)

    def _moved(self, group: Group, before: Place | None) -> None:
        """The first job of a group may be another one now."""
        after = group.jobs[0][0] if group.jobs else None
        if before == after:
            return
        groups = self.tenants.setdefault(group.tenant, [])
        if before is not None:
            del groups[bisect.bisect_left(groups, before, key=lambda item: item[0])]
        if after is not None:
            bisect.insort(groups, (after, group), key=lambda item: item[0])
        if not groups:
            del self.tenants[group.tenant]
