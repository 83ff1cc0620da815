"""What a settings field may say beside its type, in `Annotated`."""

from __future__ import annotations

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

    def __str__(self) -> str:
        if self.maximum is None:
            return f"at least {self.minimum:g}"
        if self.minimum is None:
            return f"at most {self.maximum:g}"
        return f"{self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A text that names a file or folder which the step reads; relative ones start at the folder of the pipeline file.

    The file becomes part of what identifies the run. Without `or_name` it must exist.
    """

    words: tuple[str, ...] = ()
    """Words that are never a path, even where a file has that name: `chat`."""
    or_name: str = ""
    """What a text stands for that names no existing file, like `a model of the catalog`; empty: nothing, it is an error."""

    def __str__(self) -> str:
        return " or ".join(filter(None, ("file or folder", self.or_name, " | ".join(self.words))))


InputFile = Annotated[str, Input()]
"""Settings type: a file or folder that must exist."""
