"""Where a setting was written, and errors that point there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bedplate.core.errors import ConfigurationError, did_you_mean

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document: `("steps", "train", "schemes", 0)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value was written, so that an error can point there."""

    file: str = ""
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    """Line (from 1) of each key by its path."""

    def where(self, path: KeyPath) -> str | None:
        """`file:line` of the key at `path`, or of its nearest parent that has a line."""
        for length in range(len(path), -1, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return f"{self.file}:{line}"
        return self.file or None


@dataclass(frozen=True, slots=True)
class Place:
    """One value in a source: what an error about it needs."""

    source: Source
    path: KeyPath

    def at(self, key: str | int) -> Place:
        """The place of an item of this value."""
        return Place(self.source, (*self.path, key))

    def error(self, what: str, seen: object, expected: object = None, next_step: str | None = None) -> ConfigurationError:
        """The error that says `what` about this value."""
        return ConfigurationError(what, where=self.source.where(self.path), seen=seen, expected=expected, next_step=next_step)

    def __str__(self) -> str:
        return "'" + ".".join(map(str, self.path)) + "'" if self.path else "the document"


def unknown_key(key: str, known: Iterable[str], source: Source, path: KeyPath, what: str = "key") -> ConfigurationError:
    """The error for a word that is not one of `known`, with its line and the nearest right one."""
    known = sorted(known)
    return Place(source, path).error(f"unknown {what} '{key}'", key, ", ".join(known), did_you_mean(key, known))
