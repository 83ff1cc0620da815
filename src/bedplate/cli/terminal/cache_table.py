"""What is in the cache, and what could be, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bedplate.cli.terminal.output import print_json, print_table

if TYPE_CHECKING:
    from bedplate.app.toolchain.listing import CacheEntry


def print_entries(key: str, entries: Sequence[CacheEntry], output: str) -> None:
    """Print `entries` under `key` in the form that `output` says."""
    if output == "json":
        print_json({key: [entry.as_json() for entry in entries]})
        return
    rows = [
        (entry.name, entry.status.value, _size(entry.size_bytes), _size(entry.download_bytes), entry.licence, entry.source)
        for entry in entries
    ]
    print_table(("name", "status", "in the cache", "download", "licence", "source"), rows)


def _size(size_bytes: int | None) -> str:
    from bedplate.core.units import format_bytes

    return "" if size_bytes is None else format_bytes(size_bytes)
