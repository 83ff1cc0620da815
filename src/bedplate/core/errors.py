"""The one error tree of bedplate.

    BedplateError                 exit 1   something failed while it ran
    ├── UsageError                exit 2   the request is wrong
    │   ├── ConfigurationError             … in a file; names the file, the line and the nearest right word
    │   │   └── MistakesError              … several of them, all that were found
    │   ├── ContextLengthError             prompt and answer do not fit the model's context
    │   └── ForbiddenError                 whoever asks may not do this
    ├── NotFoundError             exit 3   the thing named does not exist
    ├── CheckFailedError          exit 4   a check ran, and its answer is no
    │   └── IntegrityError                 stored bytes are not what was written
    ├── UnavailableError          exit 5   a tool, port, device, network or lock is not available now
    │   ├── ResourcesError                 the request is larger than what there is
    │   ├── QueueFullError                 a bounded queue takes no more at the moment
    │   ├── AgentLostError                 a node, or the agent on it, went away
    │   └── LockLostError                  what this process alone may do, another one does now
    ├── TaskError                 exit 1   a launched process ended badly
    │   └── PeerLostError                  … because another process of its gang did
    ├── MessageError              exit 1   what another process sent is not what was agreed
    └── CancelledError            exit 1   the work was stopped on request

Every error says what happened, the value seen, what was expected and what to do next, and has a stable code. The code
survives a process border: `BedplateError.from_json(error.as_json())` has the class that was raised.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
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
        self.setting: tuple[str | int, ...] = ()
        """Keys that lead to the setting that is to blame, where one is; `core.settings.about_setting` says it."""

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"seen: {self.seen}"] if self.seen is not None else []
        parts += [f"expected: {self.expected}"] if self.expected is not None else []
        parts += [f"next: {self.next_step}"] if self.next_step is not None else []
        return "; ".join(parts)

    def as_json(self) -> dict[str, object]:
        """The error for `-o json`: code, error, seen, expected, next."""
        return {"code": self.code, "error": self.what, "seen": self.seen, "expected": self.expected, "next": self.next_step}

    @staticmethod
    def from_json(document: Mapping[str, object]) -> BedplateError:
        """Inverse of `as_json`: an error of the class that has its code, or of the nearest kind where the code is newer.

        A `ConfigurationError` comes back without `where`: its text already names the place.
        """
        values = {key: document.get(key) for key in ("error", "seen", "expected", "next")}
        texts = {key: None if value is None else str(value) for key, value in values.items()}
        cls = _class_of(str(document.get("code", "")))
        if issubclass(cls, MistakesError):
            return cls(texts["error"] or "", mistakes=_mistakes_in(document))
        return cls(texts["error"] or "", seen=texts["seen"], expected=texts["expected"], next_step=texts["next"])


class UsageError(BedplateError):
    """The request is wrong: an option, a unit, a combination."""

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

    @property
    def mistakes(self) -> tuple[ConfigurationError, ...]:
        """Every mistake that was found, each with its own place; only this one, but for a `MistakesError`."""
        return (self,)


class MistakesError(ConfigurationError):
    """A file has several mistakes; `mistakes` are all that were found, in the order of their lines."""

    code = "BP202"

    def __init__(self, what: str, *, mistakes: Iterable[ConfigurationError]) -> None:
        super().__init__(what, next_step="correct them all, then run the same command again")
        self._mistakes = tuple(mistakes)
        self.where = next((mistake.where for mistake in self._mistakes), None)

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"- {mistake}" for mistake in self._mistakes)])

    @property
    def mistakes(self) -> tuple[ConfigurationError, ...]:
        """All of them."""
        return self._mistakes

    def as_json(self) -> dict[str, object]:
        """As of every error, and `mistakes`: the same of each."""
        return {**super().as_json(), "mistakes": [mistake.as_json() for mistake in self._mistakes]}


class ContextLengthError(UsageError):
    """Prompt and answer do not fit the model's context."""

    code = "BP210"


class ForbiddenError(UsageError):
    """Whoever asks may not do this."""

    code = "BP220"


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
    """Something that is needed is not available at the moment; trying again later may help."""

    code = "BP500"
    exit_code = 5


class ResourcesError(UnavailableError):
    """The request is larger than what the engine has: cores, memory, devices, disk."""

    code = "BP501"


class QueueFullError(UnavailableError):
    """A bounded queue is full; it has room again in a moment."""

    code = "BP510"


class AgentLostError(UnavailableError):
    """A node of the engine, or bedplate's agent on it, went away."""

    code = "BP520"


class LockLostError(UnavailableError):
    """What this process alone might do, another one does now."""

    code = "BP530"


class TaskError(BedplateError):
    """A launched process ended badly; the text carries its last message."""

    code = "BP110"


class PeerLostError(TaskError):
    """A process ended because another process of its gang went away; the cause is there."""

    code = "BP111"


class MessageError(BedplateError):
    """What another process sent, or a file of ours holds, is not what was agreed."""

    code = "BP130"


class CancelledError(BedplateError):
    """The work was stopped because somebody asked for it."""

    code = "BP120"


def _class_of(code: str) -> type[BedplateError]:
    """The class with this code; for one that is not known, the class of its hundred (`BP5xx`: unavailable)."""
    by_code = {cls.code: cls for cls in _all_classes(BedplateError)}
    return by_code.get(code) or by_code.get(f"{code[:3]}00", BedplateError)


def _mistakes_in(document: Mapping[str, object]) -> Iterator[ConfigurationError]:
    listed = document.get("mistakes")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(error := BedplateError.from_json(item), ConfigurationError):
            yield error


def _all_classes(root: type[BedplateError]) -> Iterator[type[BedplateError]]:
    yield root
    for cls in root.__subclasses__():
        yield from _all_classes(cls)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be, or None.

    Example: `nearest("presicion", ["precision", "model"])` is `"precision"`.
    """
    known = list(known)
    same_letters = [other for other in known if other.lower() == word.lower()]
    return next(iter(same_letters or difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None, form: str = "{}") -> str | None:
    """The next step after a word that is not known: the nearest known one, written as `form` says, else `otherwise`."""
    near = nearest(word, known)
    return f"did you mean '{form.format(near)}'?" if near else otherwise


def check_known(
    word: str,
    known: Collection[str],
    what: str,
    *,
    error: type[BedplateError] = UsageError,
    seen: object = None,
    expected: str | None = None,
    otherwise: str | None = None,
) -> None:
    """Raise unless `word` is one of `known`; the error names the nearest of them.

    Args:
        word: What was given.
        known: Words that are right.
        what: What the error says, without the word: `unknown engine`.
        error: Class that is raised: `UsageError`, or `NotFoundError` where the word names a thing.
        seen: The text that the word stood in, where it is more than the word.
        expected: What would have been right; all of `known` when None.
        otherwise: The next step where no known word is near.

    Raises:
        BedplateError: Of the class `error`.
    """
    if word not in known:
        raise error(
            f"{what} '{word}'",
            seen=word if seen is None else seen,
            expected=", ".join(known) if expected is None else expected,
            next_step=did_you_mean(word, known, otherwise),
        )
