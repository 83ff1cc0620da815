"""Watchers of a run: the terminal, a log, or nobody. The runner notifies them, they display."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from bedplate.core.errors import BedplateError
from bedplate.core.implements import implements
from bedplate.state.records import Status as Status


class RunWatcher(Protocol):
    """Shows what a run does as it does it; calls may come from any thread and must return immediately."""

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """The run begins, or resumes after the steps in `done`."""
        ...

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """A step begins."""
        ...

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """A step made progress; may be called very often."""
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

    @implements(RunWatcher)
    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        self._call(self._watcher.run_started, run_id, steps, done)

    @implements(RunWatcher)
    def step_started(self, name: str, use: str, explanation: str) -> None:
        self._call(self._watcher.step_started, name, use, explanation)

    @implements(RunWatcher)
    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        self._call(self._watcher.step_progressed, name, done, total, unit)

    @implements(RunWatcher)
    def said(self, name: str, text: str) -> None:
        self._call(self._watcher.said, name, text)

    @implements(RunWatcher)
    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        self._call(self._watcher.step_ended, name, status, seconds, error)

    @implements(RunWatcher)
    def run_ended(self, status: Status) -> None:
        self._call(self._watcher.run_ended, status)

    def _call(self, method: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(OSError):
            method(*arguments)


class NullWatcher:
    """A watcher that shows nothing."""

    @implements(RunWatcher)
    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None: ...

    @implements(RunWatcher)
    def step_started(self, name: str, use: str, explanation: str) -> None: ...

    @implements(RunWatcher)
    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None: ...

    @implements(RunWatcher)
    def said(self, name: str, text: str) -> None: ...

    @implements(RunWatcher)
    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None: ...

    @implements(RunWatcher)
    def run_ended(self, status: Status) -> None: ...
