"""JSON schema of pipeline files, for editors that complete and check as one types."""

from __future__ import annotations

from collections.abc import Mapping

from bedplate.app.pipeline.contract.step import Needs
from bedplate.app.pipeline.contract.use_case import load_use_case
from bedplate.app.pipeline.file.definition import NAME_PATTERN
from bedplate.app.uses import USES
from bedplate.core.json import Json, JsonObject
from bedplate.core.settings import json_schema


def pipeline_schema(uses: Mapping[str, str] = USES) -> JsonObject:
    """The schema (draft 2020-12) of a file with these use cases.

    It does not know references, order, or which files exist: `bedplate plan FILE` checks those too.
    """
    step: JsonObject = {
        "type": "object",
        "required": ["use"],
        "properties": {"use": {"enum": list(uses)}},
        "allOf": [{"if": _is_use(name), "then": _step_schema(name, uses)} for name in uses],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bedplate pipeline",
        "type": "object",
        "required": ["version", "steps"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "name": {"type": "string", "pattern": f"^{NAME_PATTERN}$"},
            "needs": json_schema(Needs),
            "steps": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{NAME_PATTERN}$"},
                "additionalProperties": step,
            },
        },
    }


def _is_use(name: str) -> JsonObject:
    return {"required": ["use"], "properties": {"use": {"const": name}}}


def _step_schema(name: str, uses: Mapping[str, str]) -> JsonObject:
    schema = dict(json_schema(load_use_case(name, uses).settings))
    properties = schema["properties"]
    assert isinstance(properties, Mapping)
    names: JsonObject = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    after: Json = {**names, "description": "Steps that come before this one."}
    return {**schema, "properties": {"use": {"const": name}, "after": after, **properties}}
