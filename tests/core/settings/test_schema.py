"""The JSON schema of a settings class takes what the reader takes and refuses what it refuses."""

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

import jsonschema
import pytest

from bedplate.core.errors import ConfigurationError
from bedplate.core.settings import Range, json_schema, read_settings, settings
from bedplate.core.units import Count, Duration


class Precision(enum.StrEnum):
    BF16 = "bf16"
    FP32 = "fp32"


@settings
class Inner:
    """Nested."""

    every: Annotated[Duration, Range(0.5)] = 60.0
    """Time between two."""
    in_: Literal["memory", "disk"] = "memory"


@settings
class Job:
    """A job."""

    model: str
    """Folder of the
    model."""
    tokens: Annotated[Count, Range(1, 100)] = 10
    precision: Precision = Precision.BF16
    limit: int | None = None
    warm: bool = False
    rate: float = 0.5
    schemes: tuple[str, ...] = ("int8",)
    labels: Mapping[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    anything: Any = None


@pytest.mark.parametrize(
    "document",
    [
        {"model": "m"},
        {"model": "m", "tokens": "40k", "precision": "fp32", "limit": None, "warm": True, "rate": 1, "schemes": []},
        {"model": "m", "tokens": 3, "limit": 4, "labels": {"a": "b"}, "inner": {"every": "5m", "in": "disk"}, "anything": [1]},
        {},
        {"model": 7},
        {"model": "m", "tokens": 0},
        {"model": "m", "tokens": 101},
        {"model": "m", "tokens": None},
        {"model": "m", "tokens": "many"},
        {"model": "m", "precision": "fp8"},
        {"model": "m", "warm": 1},
        {"model": "m", "schemes": "int8"},
        {"model": "m", "labels": {"a": 1}},
        {"model": "m", "inner": {"every": 0}},
        {"model": "m", "inner": {"in_": "disk"}},
        {"model": "m", "unknown": 1},
    ],
)
def test_the_schema_and_the_reader_agree(document: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(Job))
    if document.get("tokens") == "40k":  # the range of a quantity with a unit is for the reader alone
        assert validator.is_valid(document)
        return
    try:
        read_settings(Job, document)
    except ConfigurationError:
        assert not validator.is_valid(document)
    else:
        assert validator.is_valid(document)


def test_the_schema_carries_texts_and_defaults() -> None:
    schema = json_schema(Job)
    jsonschema.Draft202012Validator.check_schema(schema)
    properties: Any = schema["properties"]
    assert schema["required"] == ["model"]
    assert properties["model"]["description"] == "Folder of the model."
    assert properties["precision"] == {"enum": ["bf16", "fp32"], "default": "bf16"}
    assert properties["schemes"]["default"] == ["int8"]
    assert "default" not in properties["limit"]
