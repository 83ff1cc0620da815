"""Running jobs that can make room, by what a claim on them depends on: tenant, priority and model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bedplate.compute.scheduler.entry import HOUR_S, Entry
from bedplate.compute.scheduler.holdings import Holdings
from bedplate.compute.scheduler.ledger import Tenant
from bedplate.compute.scheduler.settings import SchedulerSettings

Bucket: TypeAlias = tuple[Tenant, int, str]


@dataclass(slots=True)
class _Content:
    number: int
    count: int = 0
    extra: int = 0
    """Workers beyond the minimum of their jobs."""


class Buckets:
    """Has one owner, the state."""

    def __init__(self, holdings: Holdings, settings: SchedulerSettings) -> None:
        self._holdings, self._settings = holdings, settings
        self._contents: dict[Bucket, _Content] = {}
        self._by_slot: dict[int, Entry] = {}

    def __len__(self) -> int:
        """Number of buckets that there were ever; their numbers are below it."""
        return len(self._contents)

    def __iter__(self) -> Iterator[tuple[Bucket, int]]:
        """Buckets that have something in them, and their numbers."""
        return ((bucket, content.number) for bucket, content in self._contents.items() if content.count)

    @property
    def has_extra(self) -> bool:
        """Whether any job has workers beyond its minimum."""
        return any(content.extra for content in self._contents.values())

    def entry(self, slot: int) -> Entry:
        """The job in a slot."""
        return self._by_slot[slot]

    def add(self, entry: Entry) -> None:
        """A job runs."""
        content = self._contents.setdefault(self._bucket(entry), _Content(len(self._contents)))
        if entry.job.is_preemptible or self._extra(entry):
            content.count += 1
            content.extra += self._extra(entry)
        self._by_slot[entry.slot] = entry
        self._holdings.describe(
            entry.slot,
            content.number,
            is_preemptible=entry.job.is_preemptible,
            ready_s=self.ready_s(entry),
            fewest=entry.fewest if entry.job.request.is_gang else entry.num_workers,
        )

    def remove(self, entry: Entry) -> None:
        """It runs no longer."""
        content = self._contents[self._bucket(entry)]
        if entry.job.is_preemptible or self._extra(entry):
            content.count -= 1
            content.extra -= self._extra(entry)
        del self._by_slot[entry.slot]

    def ready_s(self, entry: Entry) -> float:
        """From when on a job may be preempted for higher priority."""
        if not entry.job.is_preemptible:
            return math.inf
        most = self._settings.preemptions_per_hour
        rested_s = entry.preempted_s[-most] + HOUR_S if len(entry.preempted_s) >= most else -math.inf
        return max(entry.started_s + self._settings.least_run, rested_s)

    def _bucket(self, entry: Entry) -> Bucket:
        return entry.tenant, entry.job.priority, entry.model

    def _extra(self, entry: Entry) -> int:
        return max(entry.num_workers - entry.fewest, 0) if entry.job.request.is_gang else 0
