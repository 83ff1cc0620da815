"""What a settings field may say in addition to its type, in `Annotated`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Range:
    """The bounds of a number, both included; None is open."""

    minimum: float | None = None
    maximum: float | None = None

    def admits(self, number: float) -> bool:
        """Whether `number` lies in the range; NaN never does."""
        is_high_enough = self.minimum is None or number >= self.minimum
        return is_high_enough and (self.maximum is None or number <= self.maximum)

    def written(self, write: Callable[[float], str]) -> str:
        """`at least 1`, `1 to 256`; `write` turns a bound into text."""
        if self.maximum is None:
            return "any" if self.minimum is None else f"at least {write(self.minimum)}"
        if self.minimum is None:
            return f"at most {write(self.maximum)}"
        return f"{write(self.minimum)} to {write(self.maximum)}"

    def __str__(self) -> str:
        return self.written(lambda bound: f"{bound:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A text that names a file or folder which is read; relative ones start at the folder of the file that says so.

    What it names becomes part of what identifies a run. Unless the text is one of `words` or a name, it must exist.
    """

    words: tuple[str, ...] = ()
    """Words that are never a path, even where a file has that name: `chat`."""
    or_name: str = ""
    """What a text stands for that names no existing file, like `a fetched model`; empty: nothing, it is an error."""
    name_pattern: str = ".+"
    """What such a name looks like; a text that does not match it must exist."""
    derived: tuple[str, ...] = ()
    """Patterns of names in a folder that bedplate itself makes from the rest, so they identify nothing: `tokens-*`."""

    def __str__(self) -> str:
        return " or ".join(filter(None, ("a file or folder", self.or_name, " | ".join(self.words))))


InputFile = Annotated[str, Input()]
"""Settings type: a file or folder that must exist."""


@dataclass(frozen=True, slots=True)
class Operational:
    """Marks a setting that does not change what comes out (restarts, timeouts, how often state is kept).

    Work that was done under another value of it is the same work: it is resumed, and not done again.
    """


def looks_like_path(text: str) -> bool:
    """Whether a text can only be a path: it begins with `./`, `../`, `/` or `~/`."""
    return text.startswith(("./", "../", "/", "~/"))
