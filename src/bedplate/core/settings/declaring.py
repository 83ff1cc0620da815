"""`@settings`: a frozen dataclass whose types and ranges hold however it is made, in Python as in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from bedplate.core.errors import ConfigurationError, UsageError
from bedplate.core.settings.fields import setting_fields
from bedplate.core.settings.reading import read_value
from bedplate.core.settings.source import Source

Settings = TypeVar("Settings")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[Settings]) -> type[Settings]:
    """Make `cls` a settings class: frozen, slotted, keyword-only, checked by `check_settings` when an object is made.

    A `__post_init__` of the class runs after the check, so it may rely on types and ranges.
    """
    own: Callable[[Any], None] | None = cls.__dict__.get("__post_init__")

    def check(self: Any) -> None:
        check_settings(self)
        if own is not None:
            own(self)

    cls.__post_init__ = check  # type: ignore[attr-defined]
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


def check_settings(made: Any) -> None:
    """Check every field of a settings object.

    Raises:
        UsageError: A value of a wrong type, or out of its range; names the field.
    """
    for field in setting_fields(made.__class__).values():
        value = getattr(made, field.name)
        try:
            read = read_value(field.value_type, value, Source(), (field.key,))
        except ConfigurationError as error:
            first = error.mistakes[0]
            raise UsageError(first.what, seen=first.seen, expected=first.expected, next_step=first.next_step) from None
        if not _is_the_same(read, value):
            seen, expected = f"{value!r} ({type(value).__name__})", f"{type(read).__name__}: {field.value_type}"
            raise UsageError(f"'{field.key}' has the wrong type", seen=seen, expected=expected)


def _is_the_same(read: object, value: object) -> bool:
    """Whether `value` was what it is read as: a file may say `40k` or a list; an object holds the number, the tuple."""
    if read is value:
        return True
    as_written = int if isinstance(read, float) else Mapping  # an int where a float is meant, any mapping
    return read == value and isinstance(value, (type(read), as_written))
