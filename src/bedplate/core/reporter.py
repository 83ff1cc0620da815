"""How work reports to its caller: progress, a line of text, and whether it should continue at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Reporter(Protocol):
    """Given to long work; calls may come from any thread and return immediately."""

    def say(self, text: str) -> None:
        """One line for the person who watches: what is being done and why."""
        ...

    def progress(self, done: float, total: float, unit: str) -> None:
        """How far the work is; drives the bar, the rate and the remaining time. Call it as often as you like."""
        ...

    def check_cancelled(self) -> None:
        """Raise `CancelledError` once cancellation was requested; call it wherever the work waits."""
        ...


class NullReporter:
    """Nobody is watching, and nobody can cancel."""

    def say(self, text: str) -> None:
        """Discard `text`."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Discard the progress."""

    def check_cancelled(self) -> None:
        """Never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReporter:
    """A reporter made of functions; what is not given does nothing."""

    on_say: Callable[[str], None] = lambda text: None
    on_progress: Callable[[float, float, str], None] = lambda done, total, unit: None
    on_check: Callable[[], None] = lambda: None
    """Raises `CancelledError` to end the work."""

    def say(self, text: str) -> None:
        """Hand `text` to `on_say`."""
        self.on_say(text)

    def progress(self, done: float, total: float, unit: str) -> None:
        """Hand the progress to `on_progress`."""
        self.on_progress(done, total, unit)

    def check_cancelled(self) -> None:
        """Call `on_check`."""
        self.on_check()
