"""One codec for what crosses a process border or waits in a file: frozen dataclasses to JSON and back.

`encode` writes every field by its name. `decode` checks every value against the field's type and refuses by name what it
does not know, so a message of another version is an error and never a guess. `to_bytes` and `from_bytes` are the same with the
text that travels.

Numbers that are not finite have a meaning and survive: they travel as the strings `NaN`, `Infinity` and `-Infinity`, and come
back where a float or any JSON is expected. A string that reads like one of them travels with a backslash before it.

Field types: bool, int, float, str, None, Path, enums, Literal, Json, dataclasses, unions, and tuples, frozensets and
mappings (string keys) of these. The members of a union of dataclasses are distinguished by a field `kind: Literal["…"]`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bedplate.core.errors import MessageError, did_you_mean
from bedplate.core.json import Json, JsonObject

T = TypeVar("T")

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LIKE_A_NUMBER = re.compile(r"\\*(NaN|-?Infinity)")


def encode(message: object) -> JsonObject:
    """The JSON object of a dataclass.

    Raises:
        TypeError: `message` is no dataclass, or holds something that is not of the field types above.
    """
    if not dataclasses.is_dataclass(message) or isinstance(message, type):
        raise TypeError(f"{type(message).__name__} is no dataclass")
    return {item.name: _encoded(getattr(message, item.name)) for item in dataclasses.fields(message)}


def decode(cls: type[T], document: Json) -> T:
    """The dataclass that `encode` made `document` from; absent fields take their defaults.

    Raises:
        MessageError: A field is missing, unknown or of another type; names its path.
    """
    return _decoded(cls, document, cls.__name__)  # type: ignore[no-any-return]


def to_bytes(message: object) -> bytes:
    """A dataclass as the JSON text that travels, in UTF-8.

    Raises:
        TypeError: As `encode`.
        ValueError: A string holds a lone surrogate, which UTF-8 cannot carry.
    """
    return json.dumps(encode(message), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def from_bytes(cls: type[T], data: bytes) -> T:
    """The dataclass that `to_bytes` made `data` from.

    Raises:
        MessageError: It is no JSON, or as `decode`.
    """
    try:
        document: Json = json.loads(data)
    except ValueError as error:
        raise MessageError(f"not a message: {error}", seen=repr(data[:80]), expected=f"JSON ({cls.__name__})") from error
    return decode(cls, document)


def decode_json(value: Json) -> Any:
    """JSON that has no dataclass, as `encode` wrote it: numbers that are not finite come back."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, _unescaped(value))
    if isinstance(value, Mapping):
        return {key: decode_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [decode_json(item) for item in value]
    return value


def _encoded(value: object) -> Json:
    if isinstance(value, enum.Enum):
        return value.value  # type: ignore[no-any-return]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return f"\\{value}" if _LIKE_A_NUMBER.fullmatch(value) else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, Mapping):
        return {_key(key): _encoded(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((_encoded(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_encoded(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be part of a message")


def _unescaped(value: Json) -> Json:
    return value[1:] if isinstance(value, str) and value.startswith("\\") and _LIKE_A_NUMBER.fullmatch(value) else value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r} of a mapping is not a string")
    return key


def _decoded(wanted: Any, value: Json, path: str) -> Any:
    if wanted is Any:
        return decode_json(value)
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _decoded_union(get_args(wanted), value, path)
    if origin is Literal:
        value = _unescaped(value)
        return value if value in get_args(wanted) else _refuse(path, value, " or ".join(map(repr, get_args(wanted))))
    if dataclasses.is_dataclass(wanted):
        return _decoded_dataclass(wanted, value, path)
    if origin is not None:
        return _decoded_container(origin, get_args(wanted), value, path)
    return _decoded_plain(wanted, value, path)


def _decoded_plain(wanted: Any, value: Json, path: str) -> Any:
    if wanted is float:
        if isinstance(value, str) and value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif wanted is Path and isinstance(value, str):
        return Path(value)
    elif isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        if value in [item.value for item in wanted]:
            return wanted(value)
        _refuse(path, value, ", ".join(str(item.value) for item in wanted))
    elif wanted is types.NoneType or wanted is None:
        if value is None:
            return None
    elif type(value) is wanted and wanted in (bool, int, str):
        return _unescaped(value)
    return _refuse(path, value, getattr(wanted, "__name__", str(wanted)))


def _decoded_dataclass(cls: Any, value: Json, path: str) -> Any:
    if not isinstance(value, Mapping):
        return _refuse(path, value, f"an object ({cls.__name__})")
    hints, fields = _hints(cls), {item.name: item for item in dataclasses.fields(cls) if item.init}
    for name in value:
        if name not in fields:
            hint = did_you_mean(name, fields, "both sides must be of the same version")
            raise MessageError(f"unknown field '{path}.{name}'", expected=", ".join(fields), next_step=hint)
    missing = [name for name, item in fields.items() if name not in value and _is_required(item)]
    if missing:
        raise MessageError(f"{path} lacks '{missing[0]}'", seen=", ".join(value) or "no field", expected=", ".join(fields))
    return cls(**{name: _decoded(hints[name], item, f"{path}.{name}") for name, item in value.items()})


def _decoded_container(origin: Any, arguments: tuple[Any, ...], value: Json, path: str) -> Any:
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return _refuse(path, value, "an object")
        return {name: _decoded(arguments[1], item, f"{path}.{name}") for name, item in value.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _refuse(path, value, "a list")
    if origin is tuple and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            return _refuse(path, value, f"a list of {len(arguments)}")
        return tuple(
            _decoded(kind, item, f"{path}[{at}]") for at, (kind, item) in enumerate(zip(arguments, value, strict=True))
        )
    items = [_decoded(arguments[0], item, f"{path}[{at}]") for at, item in enumerate(value)]
    return tuple(items) if origin is tuple or not isinstance(origin, type) else _container(origin)(items)


def _container(origin: type) -> Any:
    return origin if issubclass(origin, frozenset | set | list) else tuple


def _decoded_union(members: tuple[Any, ...], value: Json, path: str) -> Any:
    if isinstance(value, Mapping) and "kind" in value:
        for member in members:
            if dataclasses.is_dataclass(member) and value["kind"] in get_args(_hints(member).get("kind")):
                return _decoded(member, value, path)
    errors = []
    for member in members:
        try:
            return _decoded(member, value, path)
        except MessageError as error:
            errors.append(error)
    raise errors[0] if len(errors) == 1 else _refusal(path, value, " or ".join(_name(member) for member in members))


@functools.cache
def _hints_of(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls, localns={"Json": Any, "JsonObject": Mapping[str, Any]})


def _hints(cls: Any) -> Mapping[str, Any]:
    return _hints_of(cls)


def _is_required(item: dataclasses.Field[Any]) -> bool:
    return item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING


def _name(wanted: Any) -> str:
    return "null" if wanted is types.NoneType else getattr(wanted, "__name__", str(wanted))


def _refuse(path: str, value: Json, expected: str) -> Any:
    raise _refusal(path, value, expected)


def _refusal(path: str, value: Json, expected: str) -> MessageError:
    seen = repr(value)
    return MessageError(f"{path} is of another type", seen=seen if len(seen) <= 80 else seen[:77] + "…", expected=expected)
