"""Settings: each component owns a frozen dataclass; this file reads one from what a person wrote, and describes it.

One dataclass is the source of the YAML keys, the CLI help, the JSON schema and the reference. Field types are plain
(`int`, `str | None`, `tuple[str, ...]`, an enum, another settings dataclass) or a quantity of `core.units`; a range is
`Annotated[int, Range(1, 64)]`; the text under a field is its documentation. Why not a library: errors must carry the
line in the file and the nearest right key, `core` is standard library only, and `import bedplate` must stay light.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from bedplate.core.errors import ConfigurationError, UsageError, nearest
from bedplate.core.units import Quantity

Settings = TypeVar("Settings")
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Marks a number's bounds, both included; None is open."""

    minimum: float | None = None
    maximum: float | None = None

    def __str__(self) -> str:
        if self.maximum is None:
            return f"at least {self.minimum:g}"
        if self.minimum is None:
            return f"at most {self.maximum:g}"
        return f"{self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True, slots=True)
class Operational:
    """Marks a setting that does not change what comes out (restarts, timeouts, how often state is kept).

    Work that was done under another value of it is the same work: it is resumed, and not done again.
    """


def identifying(cls: type, written: Mapping[str, Any]) -> dict[str, Any]:
    """`written`, settings of `cls` by key or field name, without those that are `Operational`."""
    hints = typing.get_type_hints(cls, include_extras=True)
    operational = {_key(name) for name, hint in hints.items() if any(isinstance(mark, Operational) for mark in _marks(hint))}
    return {name: value for name, value in written.items() if _key(name) not in operational}


def _marks(hint: Any) -> tuple[Any, ...]:
    """Marks of an annotation. Annotated types nest flat, so those of a quantity are among them."""
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value was written, so that an error can point there."""

    file: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)
    """Line (from 1) of each key by its path."""

    def where(self, path: Path) -> str | None:
        """`file:line` of the key at `path`, or of its nearest parent that has a line."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return f"{self.file}:{line}"
        return self.file or None


def read_settings(cls: type[Settings], value: object, source: Source | None = None, path: Path = ()) -> Settings:
    """Build `cls` from a mapping of plain values (YAML or JSON).

    Raises:
        ConfigurationError: An unknown or missing key, a wrong type, unit or range; it names `file:line` and the
            nearest right key.
    """
    source = source or Source()
    if not isinstance(value, Mapping):
        raise _error(
            source, path, f"'{_dotted(path)}' must be a mapping" if path else "must be a mapping", value, "key: value lines"
        )
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {_key(item.name): item for item in dataclasses.fields(cls) if item.init}  # type: ignore[arg-type]
    for key in value:
        if key not in fields:
            raise unknown_key(str(key), fields, source, (*path, key))
    read: dict[str, Any] = {}
    for name, item in fields.items():
        if name in value:
            read[item.name] = _read(hints[item.name], value[name], source, (*path, name))
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            seen = ", ".join(map(str, value)) or "nothing"
            raise _error(source, path, f"'{name}' is missing", seen, _type_text(hints[item.name]))
    try:
        return cls(**read)
    except UsageError as error:
        raise _error(source, path, error.what, error.seen, error.expected, error.next_step) from error


def _key(name: str) -> str:
    """The key of a field: `in_` is written `in`, since Python keeps that word for itself."""
    return name.removesuffix("_")


def unknown_key(key: str, known: typing.Iterable[str], source: Source, path: Path, what: str = "key") -> ConfigurationError:
    """The error for a word that is not one of `known`, with its line and the nearest right one."""
    known = sorted(known)
    near = nearest(key, known)
    return _error(source, path, f"unknown {what} '{key}'", key, ", ".join(known), f"did you mean '{near}'?" if near else None)


def _read(hint: Any, value: object, source: Source, path: Path) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _read_annotated(arguments[0], arguments[1:], value, source, path)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, source, path)
    if origin is Literal:
        return _read_choice(arguments, value, source, path)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(_read_choice(tuple(member.value for member in hint), value, source, path))
    if dataclasses.is_dataclass(hint):
        return read_settings(hint, value, source, path)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise _error(source, path, f"'{_dotted(path)}' must be a list", value, _type_text(hint))
        return tuple(_read(arguments[0], item, source, (*path, index)) for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _error(source, path, f"'{_dotted(path)}' must be a mapping", value, _type_text(hint))
        return {str(key): _read(arguments[1], item, source, (*path, key)) for key, item in value.items()}
    return _read_plain(hint, value, source, path)


def _read_annotated(hint: Any, marks: tuple[Any, ...], value: object, source: Source, path: Path) -> Any:
    quantity = next((mark for mark in marks if isinstance(mark, Quantity)), None)
    if quantity is not None:
        if not isinstance(value, str | int | float):
            seen = "nothing" if value is None else value
            raise _error(source, path, f"'{_dotted(path)}' must be in {quantity.unit}", seen, quantity.example)
        try:
            number: Any = quantity.parse(value)
        except UsageError as error:
            raise _error(
                source, path, f"'{_dotted(path)}': {error.what}", error.seen, error.expected, error.next_step
            ) from error
    else:
        number = _read(hint, value, source, path)
    for bounds in (mark for mark in marks if isinstance(mark, Range)):
        too_low = bounds.minimum is not None and number < bounds.minimum
        if too_low or (bounds.maximum is not None and number > bounds.maximum):
            raise _error(source, path, f"'{_dotted(path)}' is out of range", value, str(bounds))
    return number


def _read_union(arguments: tuple[Any, ...], value: object, source: Source, path: Path) -> Any:
    if value is None and type(None) in arguments:
        return None
    options = [argument for argument in arguments if argument is not type(None)]
    for option in options[:-1]:
        try:
            return _read(option, value, source, path)
        except ConfigurationError:
            continue
    return _read(options[-1], value, source, path)


def _read_choice(choices: tuple[Any, ...], value: object, source: Source, path: Path) -> Any:
    if isinstance(value, bool) and value not in choices:  # YAML reads a bare on/off as a boolean
        value = "on" if value else "off"
    if value in choices:
        return value
    known = [str(choice) for choice in choices]
    near = nearest(str(value), known)
    what = f"'{_dotted(path)}' must be one of {', '.join(known)}"
    raise _error(source, path, what, value, " | ".join(known), f"did you mean '{near}'?" if near else None)


def _read_plain(hint: Any, value: object, source: Source, path: Path) -> Any:
    if hint in (Any, object):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise _error(source, path, f"'{_dotted(path)}' has the wrong type", f"{value!r} ({type(value).__name__})", _type_text(hint))


def _error(
    source: Source, path: Path, what: str, seen: object, expected: object = None, next_step: str | None = None
) -> ConfigurationError:
    return ConfigurationError(what, where=source.where(path), seen=seen, expected=expected, next_step=next_step)


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _type_text(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        marks = get_args(hint)[1:]
        quantity = next((mark for mark in marks if isinstance(mark, Quantity)), None)
        base = f"{quantity.unit}, like {quantity.example}" if quantity else _type_text(get_args(hint)[0])
        return ", ".join([base, *(str(mark) for mark in marks if isinstance(mark, Range))])
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_type_text(argument) for argument in get_args(hint) if argument is not type(None))
    if get_origin(hint) is Literal:
        return " | ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_type_text(get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " | ".join(str(member.value) for member in hint)
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(
        hint, getattr(hint, "__name__", str(hint))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDescription:
    """One field of a settings dataclass, for help and reference pages."""

    name: str
    type: str
    default: str | None
    """None where the field is required."""
    text: str


def describe_settings(cls: type) -> tuple[SettingDescription, ...]:
    """Fields of a settings dataclass in order, with the text written under each."""
    hints = typing.get_type_hints(cls, include_extras=True)
    texts = _field_texts(cls)
    described = []
    for item in dataclasses.fields(cls):
        default: object | None = None if item.default is dataclasses.MISSING else item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        text = None if required else str(default.value if isinstance(default, enum.Enum) else default)
        described.append(
            SettingDescription(
                name=_key(item.name), type=_type_text(hints[item.name]), default=text, text=texts.get(item.name, "")
            )
        )
    return tuple(described)


def _field_texts(cls: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and is_text:
            texts[before.target.id] = inspect.cleandoc(after.value.value)  # type: ignore[attr-defined]
    return texts
