"""What a tool printed, and the error that names the place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.core.errors import ConfigurationError

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutput:
    """One text."""

    text: str
    source: str
    """The file that it was saved in, or the command that printed it."""

    @property
    def lines(self) -> list[tuple[int, str]]:
        """Its lines with their numbers, from 1, without colours and trailing blanks."""
        return [(number, _ESCAPES.sub("", line).rstrip()) for number, line in enumerate(self.text.splitlines(), start=1)]

    def refusal(
        self, what: str, line: int | None = None, *, seen: object = None, expected: object = None, next_step: str | None = None
    ) -> ConfigurationError:
        """The error that says what is wrong, where, and what would be right or what to do; the caller raises it."""
        if expected is None and next_step is None:
            next_step = "save the whole output of the command again"
        where = self.source if line is None else f"{self.source}:{line}"
        return ConfigurationError(what, where=where, seen=seen, expected=expected, next_step=next_step)


Outputs = Mapping[str, Sequence[ToolOutput]]
"""Name of a form -> what was printed in it, in the order given."""
