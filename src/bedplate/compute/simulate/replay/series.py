"""Values over time, kept as time-weighted means of equal intervals that widen as time goes on: exact, and of bounded size."""

from __future__ import annotations

import math


class SeriesTable:
    """Several values that change together in time: the mean of each in each interval, and their integrals."""

    def __init__(self, num_channels: int, step_s: float, most: int = 1024) -> None:
        """Begin at time 0 with all values 0.

        Args:
            num_channels: Number of values.
            step_s: First width of the intervals; doubled whenever there would be more than `most`.
            most: Number of intervals, even.
        """
        self.values = [0.0] * num_channels
        """Now; change them after `advance`."""
        self._channels = range(num_channels)
        self._step_s, self._most = step_s, most
        self._sums: list[list[float]] = []
        self._until_s = 0.0

    @property
    def now(self) -> float:
        """Time up to which all is counted."""
        return self._until_s

    def advance(self, now: float) -> None:
        """The values stayed the same until `now`; times do not go back. O(channels * intervals that it passes)."""
        if now <= self._until_s:
            return
        while now > self._step_s * self._most:
            self._widen()
        at = len(self._sums) - 1
        if at < 0 or self._until_s >= (at + 1) * self._step_s:
            at = int(self._until_s / self._step_s)
        while self._until_s < now:
            end_s = min(now, (at + 1) * self._step_s)
            while len(self._sums) <= at:
                self._sums.append([0.0] * len(self.values))
            row, seconds = self._sums[at], end_s - self._until_s
            for channel in self._channels:
                row[channel] += self.values[channel] * seconds
            self._until_s = end_s
            at += 1

    def integral(self, channel: int) -> float:
        """Value x seconds, from 0 until now."""
        return math.fsum(row[channel] for row in self._sums)

    def points(self, channel: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Middles of the intervals in seconds, and the mean in each; the last one may be shorter."""
        middles, means = [], []
        for at, row in enumerate(self._sums):
            begin_s, end_s = at * self._step_s, min((at + 1) * self._step_s, self._until_s)
            if end_s > begin_s:
                middles.append((begin_s + end_s) / 2)
                means.append(row[channel] / (end_s - begin_s))
        return tuple(middles), tuple(means)

    def _widen(self) -> None:
        if len(self._sums) % 2:
            self._sums.append([0.0] * len(self.values))
        pairs = zip(self._sums[::2], self._sums[1::2], strict=True)
        self._sums = [[one + other for one, other in zip(left, right, strict=True)] for left, right in pairs]
        self._step_s *= 2
