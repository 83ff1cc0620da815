"""Quantities as people write them, and back.

Inside bedplate a quantity is a plain number in one base unit, named by its suffix (`_bytes`, `_s`, `_bytes_per_s`,
`_flops`, `_frac`). Text is turned into numbers once, at the edge: `80GB`, `1.5GiB`, `5m`, `400Gb/s`, `40k`, `5%`.
Decimal prefixes are powers of 1000 and binary ones (KiB) powers of 1024; `b` is a bit and `B` a byte.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeGuard

from bedplate.core.errors import UsageError, did_you_mean

_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")
_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_BYTES = {f"{prefix}B": scale for prefix, scale in (_DECIMAL | _BINARY).items()} | {"": 1.0}
_RATE = {f"{prefix}b/s": scale / 8 for prefix, scale in _DECIMAL.items()} | {
    f"{unit}/s": scale for unit, scale in _BYTES.items() if unit
}
_TIME = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_COUNT = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15}
_FRACTION = {"": 1.0, "%": 0.01}


def parse_bytes(text: str | float) -> int:
    """`80GB`, `1.5GiB`, `4096` -> bytes.

    Raises:
        UsageError: Not a number with a byte unit, negative, or bits.
    """
    return text if _is_count(text) else round(_parse(text, _BYTES, "a size", "80GB or 1.5GiB"))


def parse_duration(text: str | float) -> float:
    """`5m`, `250ms`, `1.5h`, `3` -> seconds.

    Raises:
        UsageError: Not a number with a time unit, or negative.
    """
    return _parse(text, _TIME, "a duration", "5m, 250ms or 1.5h")


def parse_rate(text: str | float) -> float:
    """`400Gb/s` (bits), `50GB/s` (bytes) -> bytes/s; a bare number is bytes/s.

    Raises:
        UsageError: Not a number with a rate unit, or negative.
    """
    return _parse(text, _RATE | {"": 1.0}, "a rate", "400Gb/s or 50GB/s")


def parse_count(text: str | float) -> int:
    """`40k`, `1.5M`, `12` -> a whole number.

    Raises:
        UsageError: Not a number with a count suffix, negative, or not whole.
    """
    if _is_count(text):
        return text
    number = _parse(text, _COUNT, "a count", "40k or 12")
    if abs(number - round(number)) > 1e-9 * max(1.0, number):  # 2.09T in binary is not quite an integer
        raise UsageError("a count must be a whole number", seen=text, expected="40k or 12")
    return round(number)


def parse_fraction(text: str | float) -> float:
    """`5%`, `0.05` -> 0.05.

    Raises:
        UsageError: Not a number, or outside 0 to 1.
    """
    number = _parse(text, _FRACTION, "a fraction", "5% or 0.05")
    if number > 1:
        raise UsageError("a fraction must be between 0 and 1", seen=text, expected="5% or 0.05")
    return number


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a number that needs no parsing: a float has no place for every digit of a large one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _parse(text: str | float, units: Mapping[str, float], kind: str, example: str) -> float:
    if isinstance(text, bool):
        raise UsageError(f"not {kind}", seen=text, expected=example)
    if isinstance(text, int | float):
        text = repr(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UsageError(f"not {kind}", seen=repr(text), expected=example)
    number, unit = float(match[1].replace("_", "")), match[2]
    if unit not in units:
        raise UsageError(
            f"'{unit}' is not a unit of {kind}", seen=repr(text), expected=example, next_step=did_you_mean(unit, units)
        )
    number *= units[unit]
    if number < 0 or not math.isfinite(number):
        raise UsageError(f"{kind} must be finite and not negative", seen=repr(text), expected=example)
    return number


def format_bytes(size_bytes: float) -> str:
    """1536 -> `1.54 kB`; three significant digits, decimal prefixes."""
    return _format(size_bytes, "B")


def format_rate(rate_bytes_per_s: float) -> str:
    """2.5e9 -> `2.50 GB/s`."""
    return _format(rate_bytes_per_s, "B/s")


def format_flops(rate_flops: float) -> str:
    """1.2e12 -> `1.20 TFLOP/s`."""
    return _format(rate_flops, "FLOP/s")


def format_operations(number: float) -> str:
    """8.1e8 -> `810 MFLOP`: floating-point operations, not a rate."""
    return _format(number, "FLOP")


def format_count(number: float) -> str:
    """40960 -> `41.0k`; small whole numbers stay as they are."""
    if number == round(number) and abs(number) < 10_000:
        return f"{number:.0f}"
    return _format(number, "").replace(" ", "")


def format_duration(duration_s: float) -> str:
    """0.0031 -> `3.1 ms`; 75 -> `1m 15s`; 7300 -> `2h 02m`."""
    if duration_s < 0.0009995:
        return f"{duration_s * 1e6:.0f} µs"
    if duration_s < 0.9995:
        return f"{duration_s * 1e3:.3g} ms"
    if duration_s < 59.95:
        return f"{duration_s:.3g} s"
    minutes, seconds = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02d}s"
    hours, minutes = divmod(round(duration_s / 60), 60)
    return f"{hours}h {minutes:02d}m"


def _format(number: float, unit: str) -> str:
    for prefix, scale in reversed(_DECIMAL.items()):
        if prefix != "K" and abs(number) >= scale:
            scaled = number / scale
            digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
            return f"{scaled:.{digits}f} {prefix}{unit}" if prefix or abs(scaled) % 1 else f"{scaled:.0f} {unit}"
    return f"{number:.3g} {unit}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a settings field as text with a unit: `Annotated[int, Quantity(parse_bytes, "bytes", "80GB")]`."""

    parse: Callable[[str | float], float]
    unit: str
    example: str
    units: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What people may write after the number, and how much it is in the base unit."""

    def written(self, number: float) -> str:
        """`number` as people write it, exact to a tenth of its unit: 2e9 bytes -> `2GB`; in the base unit where none fits."""
        named = sorted(((scale, unit) for unit, scale in self.units.items() if unit), key=lambda item: -item[0])
        for scale, unit in named:
            scaled = number / scale
            is_large_enough = scaled >= 1 or (scale == named[-1][0] and scaled > 0)
            if is_large_enough and abs(scaled - round(scaled, 1)) < 1e-9 * scaled:
                return f"{round(scaled, 1):g}{unit}"
        return f"{number:g}" if isinstance(number, float) else str(number)


ByteCount = Annotated[int, Quantity(parse_bytes, "bytes", "80GB", _BYTES)]
"""Settings type: bytes; people write `80GB`."""
Duration = Annotated[float, Quantity(parse_duration, "seconds", "5m", _TIME)]
"""Settings type: seconds; people write `5m`."""
Rate = Annotated[float, Quantity(parse_rate, "bytes/s", "400Gb/s", _RATE)]
"""Settings type: bytes per second; people write `400Gb/s`."""
Count = Annotated[int, Quantity(parse_count, "count", "40k", _COUNT)]
"""Settings type: a whole number; people write `40k`."""
Fraction = Annotated[float, Quantity(parse_fraction, "fraction", "5%", _FRACTION)]
"""Settings type: 0 to 1; people write `5%`."""
