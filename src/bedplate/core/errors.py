"""The one error tree of bedplate.

    BedplateError                 exit 1   something failed while it ran
    ├── UsageError                exit 2   the caller's words are wrong
    │   └── ConfigurationError             … in a file; names the file, the line and the nearest right word
    ├── NotFoundError             exit 3   the thing named does not exist
    ├── CheckFailedError          exit 4   a check ran, and its answer is no
    │   └── IntegrityError                 stored bytes are not what was written
    ├── UnavailableError          exit 5   a tool, port, device, network or lock cannot be had now
    │   └── ResourcesError                 the request is larger than what there is
    ├── TaskError                 exit 1   a launched process ended badly
    └── CancelledError           exit 1   somebody asked for the end

Every error says what happened, the value seen, what was expected and what to do next, and has a stable code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class BedplateError(Exception):
    """Something failed; the text is written for the person at the terminal.

    Args:
        what: What happened, one sentence without a full stop.
        seen: The value that was met.
        expected: What would have been right.
        next_step: What to do now.
    """

    code: ClassVar[str] = "BP100"
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, seen: object = None, expected: object = None, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.seen = None if seen is None else str(seen)
        self.expected = None if expected is None else str(expected)
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"seen: {self.seen}"] if self.seen is not None else []
        parts += [f"expected: {self.expected}"] if self.expected is not None else []
        parts += [f"next: {self.next_step}"] if self.next_step is not None else []
        return "; ".join(parts)

    def as_json(self) -> dict[str, object]:
        """The error for `-o json`: code, error, seen, expected, next."""
        return {"code": self.code, "error": self.what, "seen": self.seen, "expected": self.expected, "next": self.next_step}


class UsageError(BedplateError):
    """The caller's words are wrong: an option, a unit, a combination."""

    code = "BP200"
    exit_code = 2


class ConfigurationError(UsageError):
    """A file says something that cannot be meant; `where` is `file:line`."""

    code = "BP201"

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        seen: object = None,
        expected: object = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(f"{where}: {what}" if where else what, seen=seen, expected=expected, next_step=next_step)
        self.where = where


class NotFoundError(BedplateError):
    """A file, run, step, model or device that was named does not exist."""

    code = "BP300"
    exit_code = 3


class CheckFailedError(BedplateError):
    """A check ran to its end, and its answer is no."""

    code = "BP400"
    exit_code = 4


class IntegrityError(CheckFailedError):
    """Stored bytes differ from the digest that was written with them."""

    code = "BP401"


class UnavailableError(BedplateError):
    """Something that is needed cannot be had at the moment; trying again later may help."""

    code = "BP500"
    exit_code = 5


class ResourcesError(UnavailableError):
    """The request is larger than what the engine has: cores, memory, devices, disk."""

    code = "BP501"


class TaskError(BedplateError):
    """A launched process ended badly; the text carries its own last words."""

    code = "BP110"


class CancelledError(BedplateError):
    """The work was stopped because somebody asked for it."""

    code = "BP120"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be, or None.

    Example: `nearest("presicion", ["precision", "model"])` is `"precision"`.
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
