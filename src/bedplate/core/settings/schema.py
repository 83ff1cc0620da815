"""JSON schema (draft 2020-12) of a settings class, for editors and for other programs that write our files."""

from __future__ import annotations

import enum
from typing import Any

from bedplate.core.json import Json, JsonObject, plain
from bedplate.core.settings.fields import SettingField, setting_fields
from bedplate.core.settings.types import Kind, SettingType
from bedplate.core.units import Quantity

_JSON_TYPES = {Kind.BOOLEAN: "boolean", Kind.INTEGER: "integer", Kind.NUMBER: "number", Kind.TEXT: "string"}


def json_schema(cls: type) -> JsonObject:
    """The schema of a document that `read_settings(cls, …)` takes."""
    fields = setting_fields(cls)
    schema: dict[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _field_schema(field) for key, field in fields.items()},
    }
    if required := [key for key, field in fields.items() if field.is_required]:
        schema["required"] = required
    return schema


def _field_schema(field: SettingField) -> JsonObject:
    schema = dict(_schema(field.value_type))
    if field.text:
        schema["description"] = " ".join(field.text.split())
    if not field.is_required and field.default is not None and field.value_type.kind is not Kind.SETTINGS:
        schema["default"] = _default(field.default)
    return schema


def _default(value: Any) -> Json:
    return plain(value.value if isinstance(value, enum.Enum) else value)


def _schema(wanted: SettingType) -> JsonObject:
    schema = _schema_of_kind(wanted)
    if not wanted.is_optional:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _schema_of_kind(wanted: SettingType) -> JsonObject:
    if wanted.kind is Kind.QUANTITY:
        return _quantity(wanted)
    if wanted.kind is Kind.CHOICE:
        return {"enum": list(wanted.choices)}
    if wanted.kind is Kind.SETTINGS:
        return json_schema(wanted.cls)
    if wanted.kind is Kind.LIST:
        return {"type": "array", "items": _schema(wanted.items[0])}
    if wanted.kind is Kind.MAPPING:
        return {"type": "object", "additionalProperties": _schema(wanted.items[0])}
    if wanted.kind is Kind.UNION:
        return {"anyOf": [_schema(item) for item in wanted.items]}
    if wanted.kind is Kind.ANYTHING:
        return {}
    return {"type": _JSON_TYPES[wanted.kind], **_bounds(wanted)}


def _quantity(wanted: SettingType) -> JsonObject:
    quantity = wanted.mark(Quantity)
    assert quantity is not None
    number: JsonObject = {"type": "integer" if wanted.cls is int else "number", "minimum": 0, **_bounds(wanted)}
    text: JsonObject = {"type": "string", "pattern": r"^\s*[+]?[0-9.]", "examples": [quantity.example]}
    return {"anyOf": [number, text]}


def _bounds(wanted: SettingType) -> dict[str, Json]:
    bounds: dict[str, Json] = {}
    for limits in wanted.ranges:
        if limits.minimum is not None:
            bounds["minimum"] = limits.minimum
        if limits.maximum is not None:
            bounds["maximum"] = limits.maximum
    return bounds
