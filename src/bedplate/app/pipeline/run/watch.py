"""Who watches a run: the terminal, a log, or nobody. The runner tells; watchers show."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from bedplate.core.errors import BedplateError
from bedplate.state.records import Status as Status


class RunWatcher(Protocol):
    """Shows what a run does as it does it; calls may come from any thread and must return immediately."""

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """The run begins, or resumes with the steps in `done` behind it."""
        ...

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """A step begins."""
        ...

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """A step got on; may be called very often."""
        ...

    def said(self, name: str, text: str) -> None:
        """A step (or the run, with an empty name) has something to say."""
        ...

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """A step is over."""
        ...

    def run_ended(self, status: Status) -> None:
        """The run is over; nothing follows."""
        ...


class SafeWatcher:
    """Passes everything on to `watcher`; one whose terminal or pipe is gone does not disturb the run."""

    def __init__(self, watcher: RunWatcher) -> None:
        self._watcher = watcher

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.run_started, run_id, steps, done)

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.step_started, name, use, explanation)

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.step_progressed, name, done, total, unit)

    def said(self, name: str, text: str) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.said, name, text)

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.step_ended, name, status, seconds, error)

    def run_ended(self, status: Status) -> None:
        """See `RunWatcher`."""
        self._call(self._watcher.run_ended, status)

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(OSError):
            method(*arguments)


class NullWatcher:
    """A watcher that shows nothing."""

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """Shows nothing."""

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """Shows nothing."""

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """Shows nothing."""

    def said(self, name: str, text: str) -> None:
        """Shows nothing."""

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """Shows nothing."""

    def run_ended(self, status: Status) -> None:
        """Shows nothing."""
