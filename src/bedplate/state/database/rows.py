"""Rows as records, and text as databases can store it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import RowMapping

Record = TypeVar("Record")


def record_from(cls: type[Record], row: RowMapping, **changed: Any) -> Record:
    """A record of `cls` with the columns that have its fields' names; `changed` replaces some of them."""
    names = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    return cls(**{name: row[name] for name in names if name not in changed} | changed)


def storable(text: str) -> str:
    """`text` without what a database refuses: NUL (PostgreSQL) and lone surrogates (bytes of a name that are no UTF-8)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def json_text(value: object) -> str:
    """`value` as text for a JSON column; numbers that are not finite become strings, as in `core/messages.py`."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
