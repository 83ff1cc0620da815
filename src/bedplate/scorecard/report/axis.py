"""Round numbers for an axis: steps of 1, 2 or 5 times a power of ten (Heckbert, Graphics Gems, 1990)."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MIN_SPAN = 1e-300
_MOST_POWERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: values on the left, pixels on the right."""

    low: float
    high: float
    """Values at the two ends."""
    ticks: tuple[float, ...]
    """Round values, none outside the ends."""
    start_px: float
    end_px: float
    is_logarithmic: bool = False
    """Equal steps are equal ratios; both ends are above 0."""

    def place(self, value: float) -> float:
        """Pixel of a value; values outside end at the ends."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start_px + share * (self.end_px - self.start_px)


def axis(low: float, high: float, start_px: float, end_px: float, *, num_ticks: int = 5, is_tight: bool = False) -> Axis:
    """An axis from `low` to `high`, about `num_ticks` ticks apart; equal ends are spread.

    Its ends are round numbers that hold `low` and `high`; with `is_tight` they are `low` and `high` themselves.
    """
    if high - low < _MIN_SPAN:
        low, high = (min(0.0, low), max(0.0, low)) if abs(low) > _MIN_SPAN else (0.0, 1.0)
    step = _round_step((high - low) / num_ticks)
    if is_tight:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))
    ends = (low, high) if is_tight else (ticks[0], ticks[-1])
    return Axis(low=ends[0], high=ends[1], ticks=ticks, start_px=start_px, end_px=end_px)


def logarithmic_axis(low: float, high: float, start_px: float, end_px: float) -> Axis:
    """An axis between the powers of ten around `low` and `high`, which are above 0; a tick at each power, or at every n-th."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    every = math.ceil((last - first) / _MOST_POWERS)
    ticks = tuple(10.0**power for power in range(first, last + 1, every))
    return Axis(low=10.0**first, high=10.0**last, ticks=ticks, start_px=start_px, end_px=end_px, is_logarithmic=True)


def tick_text(value: float) -> str:
    """0.25 -> `0.25`; 45000 -> `45k`; 1.2e9 -> `1.2G`."""
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale and (scale > 1e3 or abs(value) >= 1e4):
            return f"{value / scale:.3g}{prefix}"
    return f"{value:.4g}"


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)
