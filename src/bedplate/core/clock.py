"""Two clocks behind one protocol: the machine's, and one that only moves when asked to.

Everything that waits asks a clock, so that the same scheduler, engine client and test run in real and in virtual time. The
virtual clock is also the one event heap of every simulator: `call_at` files a callback, `advance` and `run` fire
callbacks in time order; equal times fire in the order they were filed, so a simulation is deterministic.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Where "now" comes from, and how to wait."""

    def now(self) -> float:
        """Seconds since the epoch (system) or since the start (virtual)."""
        ...

    def wait(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass."""
        ...


class SystemClock:
    """The machine's own clock; never runs backwards while the process lives."""

    def __init__(self) -> None:
        self._epoch_s = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch, monotonic from the first call on."""
        return self._epoch_s + time.monotonic()

    def wait(self, duration_s: float) -> None:
        """Block the calling thread for `duration_s` seconds."""
        time.sleep(max(0.0, duration_s))


class VirtualClock:
    """Time that moves from event to event; one thread only."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._filed: set[int] = set()

    def now(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def wait(self, duration_s: float) -> None:
        """Advance by `duration_s`, firing what falls due."""
        self.advance(duration_s)

    def call_at(self, at_s: float, callback: Callable[[], None]) -> int:
        """File `callback` for `at_s` (not before now); returns a ticket for `cancel`. O(log n)."""
        ticket = next(self._order)
        heapq.heappush(self._heap, (max(at_s, self._now_s), ticket, callback))
        self._filed.add(ticket)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Forget a callback that has not fired; unknown tickets are ignored. O(1): its entry leaves the heap when due."""
        self._filed.discard(ticket)

    def next_at(self) -> float | None:
        """Time of the next callback, or None when nothing is filed."""
        while self._heap and self._heap[0][1] not in self._filed:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def step(self) -> bool:
        """Jump to the next callback and fire it; False when nothing is filed."""
        if (at_s := self.next_at()) is None:
            return False
        self._now_s = at_s
        _, ticket, callback = heapq.heappop(self._heap)
        self._filed.discard(ticket)
        callback()
        return True

    def advance(self, duration_s: float) -> None:
        """Move `duration_s` forward, firing everything that falls due on the way."""
        end_s = self._now_s + duration_s
        while (at_s := self.next_at()) is not None and at_s <= end_s:
            self.step()
        self._now_s = max(self._now_s, end_s)

    def run(self) -> None:
        """Fire callbacks until none is left."""
        while self.step():
            pass
