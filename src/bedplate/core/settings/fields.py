"""The fields of a settings class: key, type, default, and the text written under each."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import textwrap
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bedplate.core.settings.marks import Operational
from bedplate.core.settings.source import KeyPath
from bedplate.core.settings.types import Kind, SettingType, setting_type
from bedplate.core.units import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One field of a settings class."""

    name: str
    """The attribute in Python."""
    key: str
    """The key in files: `in_` is written `in`, since Python keeps that word for itself."""
    value_type: SettingType
    default: Any
    """`dataclasses.MISSING` where the field is required."""
    owner: Any
    """The settings class."""

    @property
    def is_required(self) -> bool:
        """Whether a file must have the key."""
        return self.default is dataclasses.MISSING

    @property
    def text(self) -> str:
        """The documentation under the field; empty where there is none."""
        return _field_texts(self.owner).get(self.name, "")

    @property
    def default_text(self) -> str | None:
        """The default as people write it; None where the field is required or has no value by default."""
        if self.is_required or self.default is None:
            return None
        if isinstance(self.default, tuple):
            return ", ".join(map(_written, self.default)) or None
        quantity = self.value_type.mark(Quantity)
        return _written(self.default) if quantity is None else quantity.written(self.default)


@functools.cache
def setting_fields(cls: Any) -> Mapping[str, SettingField]:
    """Fields of a settings class by key, in order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {}
    for item in dataclasses.fields(cls):
        if item.init:
            fields[item.name.removesuffix("_")] = SettingField(
                name=item.name,
                key=item.name.removesuffix("_"),
                value_type=setting_type(hints[item.name]),
                default=_default(item),
                owner=cls,
            )
    return fields


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def type_at(cls: Any, path: KeyPath) -> SettingType | None:
    """The type of the value at `path` in a document of `cls`; None where no field says."""
    found = SettingType(kind=Kind.SETTINGS, cls=cls)
    for key in path:
        if found.kind is Kind.SETTINGS:
            field = setting_fields(found.cls).get(str(key))
            if field is None:
                return None
            found = field.value_type
        elif found.kind in (Kind.LIST, Kind.MAPPING):
            found = found.items[0]
        else:
            return None
    return found


def identifying(cls: Any, written: Mapping[str, Any]) -> dict[str, Any]:
    """`written`, settings of `cls` by key or field name, without those that are `Operational`."""
    fields = setting_fields(cls)
    return {
        name: value
        for name, value in written.items()
        if (field := fields.get(name.removesuffix("_"))) is None or field.value_type.mark(Operational) is None
    }


def written_settings(made: Any) -> dict[str, str]:
    """Every setting of `made` by its key, as people write it in a file: `2GB`, `[off, on]`; empty where there is no value."""
    fields = setting_fields(made.__class__).items()
    return {key: _written_as(field.value_type, getattr(made, field.name)) for key, field in fields}


def _written_as(value_type: SettingType, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        item_type = value_type.items[0] if value_type.items else value_type
        return f"[{', '.join(_written_as(item_type, item) for item in value)}]"
    if dataclasses.is_dataclass(value):
        return f"{{{', '.join(f'{key}: {text}' for key, text in written_settings(value).items() if text)}}}"
    quantity = value_type.mark(Quantity)
    return _written(value) if quantity is None else quantity.written(value)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value if isinstance(value, enum.Enum) else value)


@functools.cache
def _field_texts(cls: type) -> Mapping[str, str]:
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # made at a prompt, or in an archive without sources
        return {}
    body = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and is_text:
            texts[before.target.id] = inspect.cleandoc(after.value.value)  # type: ignore[attr-defined]
    return texts
