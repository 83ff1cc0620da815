"""How a value of an indicator is shown to people, in any language."""

from __future__ import annotations

from bedplate.core import units
from bedplate.core.text import AnyText, Text, text

_UNIT_WORDS: dict[str, Text] = {
    "servers": text("servers"),
    "iops": text("iops"),
    "tokens/s": text("tokens/s"),
    "requests/s": text("requests/s"),
    "nats": text("nats/token"),
    "perplexity": text("perplexity"),
}


def format_value(value: float, unit: str) -> AnyText:
    """0.253, `frac` -> `25.3 %`; 31.2, `s` -> `31.2 s`; 1, `bool` -> `yes`; 2.31, `ratio` -> `2.31×`."""
    if unit == "bool":
        return text("yes") if value else text("no")
    if unit in ("steps", "count"):
        return units.format_count(value)
    if (shown := _with_symbol(value, unit)) is not None:
        return shown
    return text("{number} {unit}", number=_plain(value), unit=_UNIT_WORDS.get(unit, unit))


def _with_symbol(value: float, unit: str) -> str | None:
    """Units that are the same in all languages; None for others."""
    match unit:
        case "frac":
            return f"{value * 100:.3g} %" if abs(value) < 10 else f"{value * 100:.0f} %"
        case "ratio":
            return f"{value:.3g}×"
        case "s":
            return units.format_duration(value) if value >= 0 else f"-{units.format_duration(-value)}"
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
