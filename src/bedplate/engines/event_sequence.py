"""Events in the order of their numbers, of which any may be dropped."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from bedplate.core.workload import TaskEvent


class EventSequence:
    """Events by their numbers. Finding one is O(log n), dropping one amortised O(log n)."""

    def __init__(self) -> None:
        self.last = -1
        """The highest number that was ever appended."""
        self._numbers: list[int] = []
        self._events: list[TaskEvent | None] = []
        self._num_dropped = 0

    def append(self, event: TaskEvent) -> None:
        """Add an event whose number is higher than any before."""
        self.last = event.sequence
        self._numbers.append(event.sequence)
        self._events.append(event)

    def since(self, after: int) -> tuple[TaskEvent, ...]:
        """Events from number `after` on that were not dropped."""
        start = bisect.bisect_left(self._numbers, after)
        return tuple(event for event in self._events[start:] if event is not None)

    def drop(self, sequences: Iterable[int]) -> None:
        """Drop events that are there, by their numbers."""
        for sequence in sequences:
            self._events[bisect.bisect_left(self._numbers, sequence)] = None
            self._num_dropped += 1
        if self._num_dropped > len(self._events) // 2:
            self._events = [event for event in self._events if event is not None]
            self._numbers = [event.sequence for event in self._events if event is not None]
            self._num_dropped = 0
