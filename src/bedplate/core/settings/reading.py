"""Reads settings from what a person wrote: plain values of YAML, JSON or a command line."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from bedplate.core.errors import ConfigurationError, UsageError, did_you_mean, nearest
from bedplate.core.settings.fields import setting_fields
from bedplate.core.settings.mistakes import Mistakes
from bedplate.core.settings.source import KeyPath, Place, Source, unknown_key
from bedplate.core.settings.types import Kind, SettingType
from bedplate.core.units import Quantity

Settings = TypeVar("Settings")

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""Text that means a boolean where one is expected; elsewhere it stays text."""


def read_settings(
    cls: type[Settings],
    value: object,
    source: Source | None = None,
    path: KeyPath = (),
    *,
    beside: Collection[str] = (),
) -> Settings:
    """Build `cls` from a mapping of plain values.

    Args:
        cls: The settings class.
        value: What was written.
        source: Where, for errors.
        path: Keys that lead to `value` in the source.
        beside: Keys that the mapping may have beside those of `cls`; they are ignored.

    Raises:
        ConfigurationError: Unknown or missing keys, wrong types, units or ranges; names `file:line` and the nearest right key
            of each, and carries all of them (`mistakes`).
    """
    return _read_settings(cls, value, Place(source or Source(), path), beside)  # type: ignore[no-any-return]


def read_value(wanted: SettingType, value: object, source: Source, path: KeyPath) -> Any:
    """One value of the type `wanted`.

    Raises:
        ConfigurationError: A wrong type, unit or range.
    """
    return _read(wanted, value, Place(source, path))


def _read_settings(cls: type, value: object, place: Place, beside: Collection[str] = ()) -> Any:
    if not isinstance(value, Mapping):
        raise place.error(f"{place} must be a mapping", value, "key: value lines")
    fields, mistakes, read = setting_fields(cls), Mistakes(), dict[str, Any]()
    known = (*beside, *fields)
    unknown = [str(key) for key in value if key not in known]
    mistakes.found += [unknown_key(key, known, place.source, (*place.path, key)) for key in unknown]
    meant = {nearest(key, known) for key in unknown}
    for key, field in fields.items():
        with mistakes.collected():
            if key in value:
                read[field.name] = _read(field.value_type, value[key], place.at(key))
            elif field.is_required and key not in meant:
                raise place.error(f"'{key}' is missing", ", ".join(map(str, value)) or "nothing", field.value_type)
    mistakes.raise_all()
    try:
        return cls(**read)
    except UsageError as error:
        where = Place(place.source, (*place.path, *error.setting))
        raise where.error(error.what, error.seen, error.expected, error.next_step) from error


def _read(wanted: SettingType, value: object, place: Place) -> Any:
    if value is None and wanted.is_optional:
        return None
    read = _READERS[wanted.kind](wanted, value, place)
    for bounds, text in zip(wanted.ranges, wanted.range_texts, strict=True):
        if not bounds.admits(read):
            raise place.error(f"{place} is out of range", value, text)
    return read


def _read_boolean(wanted: SettingType, value: object, place: Place) -> bool:
    read = _WORDS.get(value) if isinstance(value, str) else value
    return read if isinstance(read, bool) else _refuse(wanted, value, place)


def _read_integer(wanted: SettingType, value: object, place: Place) -> int:
    if isinstance(value, float) and value.is_integer():  # 1e5
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else _refuse(wanted, value, place)


def _read_number(wanted: SettingType, value: object, place: Place) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _refuse(wanted, value, place)
    if not math.isfinite(value):
        raise place.error(f"{place} must be finite", value, wanted)
    return float(value)


def _read_text(wanted: SettingType, value: object, place: Place) -> str:
    return value if isinstance(value, str) else _refuse(wanted, value, place)


def _read_quantity(wanted: SettingType, value: object, place: Place) -> Any:
    quantity = wanted.mark(Quantity)
    assert quantity is not None
    if not isinstance(value, str | int | float):
        seen = "nothing" if value is None else value
        raise place.error(f"{place} must be in {quantity.unit}", seen, quantity.example)
    try:
        return quantity.parse(value)
    except UsageError as error:
        raise place.error(f"{place}: {error.what}", error.seen, error.expected, error.next_step) from error


def _read_choice(wanted: SettingType, value: object, place: Place) -> Any:
    if isinstance(value, bool) and not _is_in(value, wanted.choices):  # a Python or JSON document may say true for `on`
        value = "on" if value else "off"
    is_enum = isinstance(wanted.cls, type) and issubclass(wanted.cls, enum.Enum)
    if is_enum and isinstance(value, wanted.cls):
        return value
    if _is_in(value, wanted.choices):
        return wanted.cls(value) if is_enum else value
    known = [str(choice) for choice in wanted.choices]
    what = f"{place} must be {known[0]}" if len(known) == 1 else f"{place} must be one of {', '.join(known)}"
    raise place.error(what, value, wanted, did_you_mean(str(value), known))


def _is_in(value: object, choices: tuple[Any, ...]) -> bool:
    """Without Python's `True == 1 == 1.0`."""
    return any(value == choice and type(value) is type(choice) for choice in choices)


def _read_nested(wanted: SettingType, value: object, place: Place) -> Any:
    return value if isinstance(value, wanted.cls) else _read_settings(wanted.cls, value, place)


def _read_list(wanted: SettingType, value: object, place: Place) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise place.error(f"{place} must be a list", value, wanted)
    return tuple(_read_items(wanted.items[0], dict(enumerate(value)), place).values())


def _read_mapping(wanted: SettingType, value: object, place: Place) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise place.error(f"{place} must be a mapping", value, wanted)
    return {str(key): item for key, item in _read_items(wanted.items[0], value, place).items()}


def _read_items(wanted: SettingType, items: Mapping[Any, object], place: Place) -> dict[Any, Any]:
    mistakes, read = Mistakes(), dict[Any, Any]()
    for key, item in items.items():
        with mistakes.collected():
            read[key] = _read(wanted, item, place.at(key))
    mistakes.raise_all()
    return read


def _read_union(wanted: SettingType, value: object, place: Place) -> Any:
    for member in wanted.items[:-1]:
        try:
            return _read(member, value, place)
        except ConfigurationError:
            continue
    return _read(wanted.items[-1], value, place)


def _refuse(wanted: SettingType, value: object, place: Place) -> Any:
    is_bare = wanted.kind is Kind.TEXT and isinstance(value, bool | int | float)
    next_step = f"write it in quotes: '{value}'" if is_bare else None
    raise place.error(f"{place} has the wrong type", f"{value!r} ({type(value).__name__})", wanted, next_step)


_READERS: Mapping[Kind, Callable[[SettingType, object, Place], Any]] = {
    Kind.ANYTHING: lambda wanted, value, place: value,
    Kind.BOOLEAN: _read_boolean,
    Kind.INTEGER: _read_integer,
    Kind.NUMBER: _read_number,
    Kind.TEXT: _read_text,
    Kind.QUANTITY: _read_quantity,
    Kind.CHOICE: _read_choice,
    Kind.SETTINGS: _read_nested,
    Kind.LIST: _read_list,
    Kind.MAPPING: _read_mapping,
    Kind.UNION: _read_union,
}
