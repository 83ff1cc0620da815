"""Values over time, kept as time-weighted means of equal intervals that widen as time goes on: exact, and of bounded size."""

from __future__ import annotations

import math


class TimeSeries:
    """The mean of a value in each interval, and over all time."""

    def __init__(self, step_s: float, most: int = 1024) -> None:
        """Begin at time 0 with the value 0.

        Args:
            step_s: First width of the intervals; doubled whenever there would be more than `most`.
            most: Number of intervals, even.
        """
        self._step_s = step_s
        self._most = most
        self._sums: list[float] = []
        self._value = 0.0
        self._since_s = 0.0

    @property
    def value(self) -> float:
        """Now."""
        return self._value

    def set(self, now: float, value: float) -> None:
        """The value from `now` on; times do not go back."""
        self.advance(now)
        self._value = value

    def advance(self, now: float) -> None:
        """The value stayed the same until `now`. O(intervals that it passes)."""
        if now <= self._since_s:
            return
        while now > self._step_s * self._most:
            self._widen()
        at = int(self._since_s / self._step_s)
        while self._since_s < now:
            until_s = min(now, (at + 1) * self._step_s)
            while len(self._sums) <= at:
                self._sums.append(0.0)
            self._sums[at] += self._value * (until_s - self._since_s)
            self._since_s = until_s
            at += 1

    def integral(self) -> float:
        """Value x seconds, from 0 until now."""
        return math.fsum(self._sums)

    def points(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Middles of the intervals in seconds, and the mean in each; the last one may be shorter."""
        edges = [at * self._step_s for at in range(len(self._sums))]
        ends = [min(edge + self._step_s, self._since_s) for edge in edges]
        pairs = [(edge, end, total) for edge, end, total in zip(edges, ends, self._sums, strict=True) if end > edge]
        return tuple((edge + end) / 2 for edge, end, _ in pairs), tuple(total / (end - edge) for edge, end, total in pairs)

    def _widen(self) -> None:
        halves = [*self._sums, 0.0]
        self._sums = [halves[at] + halves[at + 1] for at in range(0, len(self._sums), 2)]
        self._step_s *= 2
