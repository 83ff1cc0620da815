"""How a value of an indicator is shown to people, in any language."""

from __future__ import annotations

from bedplate.core import units
from bedplate.locale.text import Text, text, verbatim


def format_value(value: float, unit: str) -> Text:
    """0.253, `frac` -> `25.3 %`; 31.2, `s` -> `31.2 s`; 1, `bool` -> `yes` / `是`; 2.31, `ratio` -> `2.31×`."""
    if unit == "bool":
        return text("value.yes" if value else "value.no")
    return verbatim(_number(value, unit))


def _number(value: float, unit: str) -> str:
    if unit == "frac":
        return f"{value * 100:.3g} %" if abs(value) < 10 else f"{value * 100:.0f} %"
    if unit == "ratio":
        return f"{value:.3g}×"
    if unit == "s":
        return units.format_duration(value) if value >= 0 else f"-{units.format_duration(-value)}"
    if unit == "bytes":
        return units.format_bytes(value)
    if unit == "bytes/s":
        return units.format_rate(value)
    if unit == "flops":
        return units.format_flops(value)
    if unit in ("steps", "count"):
        return units.format_count(value)
    if abs(value) >= 10_000:
        return f"{units.format_count(value)} {unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip() if abs(value) < 1000 else f"{value:.0f} {unit}".rstrip()
