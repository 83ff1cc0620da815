"""Waiting jobs with a deadline, by the last moment at which they can start and still meet it."""

from __future__ import annotations

import bisect

from bedplate.compute.scheduler.jobs.entry import Entry
from bedplate.compute.scheduler.queue.deadline import latest_start_s


class Deadlines:
    """Has one owner, the state."""

    def __init__(self) -> None:
        self._sorted: list[tuple[float, int, Entry]] = []

    def add(self, entry: Entry) -> None:
        """A job waits; nothing happens without a deadline."""
        if entry.job.deadline_s is not None:
            bisect.insort(self._sorted, (latest_start_s(entry.job), entry.sequence, entry), key=lambda item: item[:2])

    def remove(self, entry: Entry) -> None:
        """It waits no longer."""
        if entry.job.deadline_s is not None:
            at = bisect.bisect_left(self._sorted, (latest_start_s(entry.job), entry.sequence), key=lambda item: item[:2])
            assert self._sorted[at][2] is entry
            del self._sorted[at]

    def urgent(self, now: float, laxity_s: float) -> list[Entry]:
        """Jobs that can meet their deadline only if they start within `laxity_s`; those that cannot any more are not urgent."""
        first = bisect.bisect_left(self._sorted, (now, -1), key=lambda item: item[:2])
        end = bisect.bisect_right(self._sorted, (now + laxity_s, -1), key=lambda item: item[:2])
        return [entry for _, _, entry in self._sorted[first:end]]

    def next_s(self, now: float, laxity_s: float) -> float | None:
        """When the next job becomes urgent; None if none will."""
        at = bisect.bisect_right(self._sorted, (now + laxity_s, 1 << 62), key=lambda item: item[:2])
        return self._sorted[at][0] - laxity_s if at < len(self._sorted) else None
