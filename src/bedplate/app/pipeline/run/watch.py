"""Who watches a run: the terminal, a log, or nobody. The runner tells; watchers show."""

from __future__ import annotations

from typing import Protocol

from bedplate.core.errors import BedplateError
from bedplate.state.records import Status as Status


class RunWatcher(Protocol):
    """Told what a run does as it does it; calls may come from any thread and must return at once."""

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """The run begins, or goes on with the steps in `done` behind it."""
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


class NobodyWatches:
    """A watcher that shows nothing."""

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """Nothing."""

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """Nothing."""

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """Nothing."""

    def said(self, name: str, text: str) -> None:
        """Nothing."""

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """Nothing."""

    def run_ended(self, status: Status) -> None:
        """Nothing."""
