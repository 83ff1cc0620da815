"""Measured values as people read them in a terminal: with their unit, and as many digits as mean something."""

from __future__ import annotations

from bedplate.core.errors import UsageError
from bedplate.core.measures import measure_of
from bedplate.core.text import AnyText, text
from bedplate.core.units import format_operations
from bedplate.locale.catalogue import in_language
from bedplate.locale.languages import choose_language
from bedplate.scorecard.format import format_value


def shown_value(name: str, value: float | None, unit: str | None = None) -> str:
    """`resume_step_s`, 0.0031 -> `3.1 ms`, in the language of the terminal.

    Args:
        name: The measurement's id.
        value: In its unit; None where it could not be measured.
        unit: Its unit; None: the one that is registered for the id.

    Raises:
        UsageError: No unit is given, and none is registered.
    """
    return in_language(_text(name, value, unit or measure_of(name).unit), choose_language())


def _text(name: str, value: float | None, unit: str) -> AnyText:
    if value is None:
        return text("not measured")
    if unit == "flops" and not _is_rate(name):
        return format_operations(value)
    if unit == "perplexity":
        return f"{value:.4g}"
    if unit == "nats":
        return text("{number} {unit}", number=f"{value:.4g}", unit=text("nats/token"))
    if unit == "steps":
        return text("{number} {unit}", number=f"{value:g}", unit=text("steps"))
    return format_value(value, unit)


def _is_rate(name: str) -> bool:
    try:
        return measure_of(name).is_timed
    except UsageError:  # an older version's id, or a step's of another machine
        return True
