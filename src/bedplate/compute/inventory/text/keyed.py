"""Texts of `key : value` lines under indented headings, as `nvidia-smi -q` has them.

A value is found by the path of its headings. Depth is read from the indentation; a heading is a line without a colon, or with
nothing after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PAIR = re.compile(r"(\s*)(.*?)\s*:(?:\s+(.*)|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line with a value."""

    path: tuple[str, ...]
    """Headings from the outside in, and the key."""
    value: str
    line: int


def entries(lines: Iterable[tuple[int, str]]) -> Iterator[Entry]:
    """The pairs of a text, each with its path; tabs count as eight blanks."""
    open_headings: list[tuple[int, str]] = []
    for number, raw in lines:
        line = raw.expandtabs(8)
        if not line.strip() or set(line.strip()) <= set("=-+*"):
            continue
        match = _PAIR.fullmatch(line)
        depth = len(line) - len(line.lstrip())
        while open_headings and open_headings[-1][0] >= depth:
            open_headings.pop()
        if match is None or not (match[3] or "").strip():
            open_headings.append((depth, line.strip().removesuffix(":").strip()))
            continue
        path = (*(heading for _, heading in open_headings), match[2].strip())
        yield Entry(path=path, value=match[3].strip(), line=number)
