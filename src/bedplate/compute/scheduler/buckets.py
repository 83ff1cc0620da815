"""Running jobs that can make room, by what a claim on them depends on: tenant, priority and model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bedplate.compute.scheduler.entry import HOUR_S, Entry
from bedplate.compute.scheduler.holdings import Holdings
from bedplate.compute.scheduler.ledger import Tenant
from bedplate.compute.scheduler.placement.arrays import Bools, Ints
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
        self._priority_B = np.zeros(0, np.int64)
        self._on_model: dict[str, Bools] = {}

    def __len__(self) -> int:
        """Number of buckets that there were ever; their numbers are below it."""
        return len(self._contents)

    def __iter__(self) -> Iterator[tuple[Bucket, int]]:
        """Buckets that have something in them, and their numbers."""
        return ((bucket, content.number) for bucket, content in self._contents.items() if content.count)

    def priorities(self) -> Ints:
        """Priority of each bucket, by number. Do not change it."""
        self._refresh()
        return self._priority_B

    def models(self, model: str) -> Bools:
        """Which buckets may help a job on that model: those on it, and work on CPUs only; all for work on CPUs only."""
        self._refresh()
        if (known := self._on_model.get(model)) is None:
            names = [name for _, _, name in self._contents]
            known = self._on_model[model] = np.array([not model or name in ("", model) for name in names], bool)
        return known

    def _refresh(self) -> None:
        if len(self._priority_B) != len(self._contents):
            self._priority_B = np.array([priority for _, priority, _ in self._contents], np.int64)
            self._on_model.clear()

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
