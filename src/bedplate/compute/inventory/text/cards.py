"""`{"card0": {"GPU use (%)": "42", "VRAM Total Memory (B)": "…"}}`: what rocm-smi and its descendant hy-smi print.

The unit of a number is in its key. Keys differ in case and words between releases, so they are found by pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bedplate.compute.inventory.text.documents import json_text, read_json
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, size_bytes
from bedplate.compute.inventory.tools.output import ToolOutput

_CARD = re.compile(r"card(\d+)")


def is_cards(text: str) -> bool:
    """Whether it is such a document, whole or cut off."""
    return re.match(r'\{\s*"card\d+"\s*:', json_text(text)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card; values by pattern of their key."""

    output: ToolOutput
    index: int
    values: Mapping[str, str]

    def text(self, *patterns: str) -> str:
        """The first that says something; empty where none does."""
        return next((value for pattern in patterns for _, value in self._found(pattern) if not is_nothing(value)), "")

    def number(self, *patterns: str, units: tuple[str, ...] = ("W", "C", "%")) -> float | None:
        """The first that says something."""
        return number(self.text(*patterns), self.output, None, f"card{self.index} {patterns[0]}", units)

    def fraction(self, *patterns: str) -> float | None:
        """A percentage."""
        return fraction(self.text(*patterns), self.output, None, f"card{self.index} {patterns[0]}")

    def size_bytes(self, pattern: str) -> int | None:
        """A size whose unit stands in brackets in the key that `pattern` finds."""
        for match, value in self._found(pattern):
            if not is_nothing(value):
                return size_bytes(value, self.output, None, f"card{self.index} {match.string}", match[1])
        return None

    def _found(self, pattern: str) -> Iterator[tuple[re.Match[str], str]]:
        expression = re.compile(pattern, re.IGNORECASE)
        for key, value in self.values.items():
            if (match := expression.fullmatch(key.strip())) is not None:
                yield match, value


def read_cards(output: ToolOutput, *, is_lenient: bool = False) -> tuple[Card, ...]:
    """The cards, by number; `system` and its kin are left out.

    Raises:
        ConfigurationError: No JSON, cut off, or no card in it; with the line.
    """
    document = read_json(output, is_lenient=is_lenient)
    cards = []
    for name, values in document.items() if isinstance(document, Mapping) else ():
        if (match := _CARD.fullmatch(name)) is not None and isinstance(values, Mapping):
            # Some releases wrap a value in a list.
            texts = {key: str(value[0] if isinstance(value, list) and value else value) for key, value in values.items()}
            cards.append(Card(output=output, index=int(match[1]), values=texts))
    if not cards:
        raise output.refusal("there is no card in it", expected='{"card0": {…}}')
    return tuple(sorted(cards, key=lambda card: card.index))
