"""How a value of an indicator is shown to people, in any language."""

from __future__ import annotations

from bedplate.core import units
from bedplate.locale.text import Text, text, translated, verbatim


def format_value(value: float, unit: str) -> Text:
    """0.253, `frac` -> `25.3 %`; 31.2, `s` -> `31.2 s`; 1, `bool` -> `yes` / `是`; 2.31, `ratio` -> `2.31×`."""
    if unit == "bool":
        return text("value.yes" if value else "value.no")
    if unit in ("steps", "count"):
        return verbatim(units.format_count(value))
    if (shown := _with_symbol(value, unit)) is not None:
        return verbatim(shown)
    words, number = translated(unit), _plain(value)
    return Text(en=f"{number} {words.en}".rstrip(), zh=f"{number} {words.zh}".rstrip())


def _with_symbol(value: float, unit: str) -> str | None:
    """Units that are the same in all languages; None for others."""
    match unit:
        case "frac":
            return f"{value * 100:.3g} %" if abs(value) < 10 else f"{value * 100:.0f} %"
        case "ratio":
            return f"{value:.3g}×"
        case "s":
            return units.format_duration(value) if value >= 0 else f"-{units.format_duration(-value)}"
        case "ms":
            return units.format_duration(value / 1e3) if value >= 0 else f"-{units.format_duration(-value / 1e3)}"
        case "bytes":
            return units.format_bytes(value)
        case "bytes/s":
            return units.format_rate(value)
        case "flops":
            return units.format_flops(value)
    return None


def _plain(value: float) -> str:
    if abs(value) >= 10_000:
        return units.format_count(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
