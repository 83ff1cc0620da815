"""Rows as records, and text as databases can store it."""

from __future__ import annotations

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
