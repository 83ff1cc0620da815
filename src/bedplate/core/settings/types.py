"""The type of a settings field, taken apart once; reading, checking, help and schema all work on this form."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from bedplate.core.settings.marks import Input, Range
from bedplate.core.units import Quantity

Mark = TypeVar("Mark")


class Kind(enum.Enum):
    """What a value of a type looks like in a file."""

    ANYTHING = "anything"
    BOOLEAN = "true or false"
    INTEGER = "whole number"
    NUMBER = "number"
    TEXT = "text"
    QUANTITY = "quantity"
    """A number, or text with a unit."""
    CHOICE = "choice"
    SETTINGS = "settings"
    """A mapping with the keys of another settings class."""
    LIST = "list"
    MAPPING = "mapping"
    UNION = "union"
    """One of several types; the first that fits is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingType:
    """One type, without `Annotated`, `| None` and aliases."""

    kind: Kind
    cls: Any = object
    """Python type of a value; the enum of an enum, the class of nested settings."""
    is_optional: bool = False
    """Whether None is a value too."""
    choices: tuple[Any, ...] = ()
    """Of a choice: the words that people write."""
    items: tuple[SettingType, ...] = ()
    """Of a list or mapping: the type of its values. Of a union: its members."""
    marks: tuple[Any, ...] = ()
    """What stands in `Annotated`."""

    def mark(self, cls: type[Mark]) -> Mark | None:
        """The mark of that class, if there is one."""
        return next((mark for mark in self.marks if isinstance(mark, cls)), None)

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Bounds that a number must keep."""
        return tuple(mark for mark in self.marks if isinstance(mark, Range))

    @property
    def range_texts(self) -> tuple[str, ...]:
        """The bounds as people write them: `at least 100ms`."""
        quantity = self.mark(Quantity)
        return tuple(str(bounds) if quantity is None else bounds.written(quantity.written) for bounds in self.ranges)

    def __str__(self) -> str:
        """For errors and help: `count, like 40k, at least 1`."""
        return ", ".join([self._base_text(), *self.range_texts])

    def _base_text(self) -> str:
        if (quantity := self.mark(Quantity)) is not None:
            return f"{quantity.unit}, like {quantity.example}"
        if (files := self.mark(Input)) is not None:
            return str(files)
        if self.kind is Kind.CHOICE:
            return " | ".join(str(choice) for choice in self.choices)
        if self.kind is Kind.LIST:
            return f"list of {self.items[0]}"
        if self.kind is Kind.UNION:
            return " or ".join(map(str, self.items))
        return "mapping" if self.kind is Kind.SETTINGS else self.kind.value


_PLAIN = {bool: Kind.BOOLEAN, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT, Any: Kind.ANYTHING, object: Kind.ANYTHING}


def setting_type(hint: Any) -> SettingType:
    """The type that `hint` spells.

    Raises:
        TypeError: A type that settings cannot have.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner = setting_type(arguments[0])
        marks = (*inner.marks, *arguments[1:])
        kind = Kind.QUANTITY if any(isinstance(mark, Quantity) for mark in marks) else inner.kind
        return dataclasses.replace(inner, kind=kind, marks=marks)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return SettingType(kind=Kind.CHOICE, choices=arguments)
    if origin is tuple:
        return SettingType(kind=Kind.LIST, cls=tuple, items=(setting_type(arguments[0]),))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return SettingType(kind=Kind.MAPPING, cls=dict, items=(setting_type(arguments[1]),))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return SettingType(kind=Kind.CHOICE, cls=hint, choices=tuple(member.value for member in hint))
    if dataclasses.is_dataclass(hint):
        return SettingType(kind=Kind.SETTINGS, cls=hint)
    if hint not in _PLAIN:
        raise TypeError(f"{hint!r} is no type of a settings field")
    return SettingType(kind=_PLAIN[hint], cls=object if hint is Any else hint)


def _union(arguments: tuple[Any, ...]) -> SettingType:
    members = [setting_type(argument) for argument in arguments if argument is not types.NoneType]
    is_optional = len(members) < len(arguments)
    if len(members) == 1:
        return dataclasses.replace(members[0], is_optional=is_optional)
    return SettingType(kind=Kind.UNION, items=tuple(members), is_optional=is_optional)
