"""What a person sees of a run: a live view on a terminal, plain lines everywhere else. Both on stderr."""

from __future__ import annotations

import sys
import threading
import time
from typing import Protocol

from bedplate.app.pipeline.watch import RunWatcher
from bedplate.core.errors import BedplateError
from bedplate.core.units import format_count, format_duration
from bedplate.state.records import Status

_LINE_EVERY_S = 5.0


class ClosableWatcher(RunWatcher, Protocol):
    """A watcher that holds the terminal."""

    def close(self) -> None:
        """Give the terminal back. Calling it twice is fine."""
        ...


def open_watcher(*, explain: bool) -> ClosableWatcher:
    """The watcher for stderr as it is."""
    if not sys.stderr.isatty():
        return PlainWatcher(explain=explain)
    from bedplate.cli.live import LiveWatcher

    return LiveWatcher(explain=explain)


class PlainWatcher:
    """Lines on stderr; of a step's progress at most one in five seconds."""

    def __init__(self, *, explain: bool) -> None:
        self._explain = explain
        self._lock = threading.Lock()
        self._started_s = self._printed_s = time.monotonic()

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """Name the run, and what is skipped."""
        self._print(f"run {run_id}: {' -> '.join(steps)}")
        if done:
            self._print(f"done before, kept: {', '.join(done)}")

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """Name the step."""
        self._started_s = self._printed_s = time.monotonic()
        if self._explain:
            self._print(f"\n== {name} ({use}): {explanation}")
        else:
            self._print(f"[{name}] {Status.RUNNING.value}: {use}")

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """Print it when the last line is old enough."""
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._printed_s < _LINE_EVERY_S:
                return
            self._printed_s = now_s
        self._print(f"[{name}] {progress_text(done, total, unit, now_s - self._started_s)}")

    def said(self, name: str, text: str) -> None:
        """Print it."""
        self._print(f"[{name}] {text}" if name else text)

    def step_ended(self, name: str, status: Status, seconds: float, error: BedplateError | None) -> None:
        """Print how it ended."""
        self._print(f"[{name}] {status.value} after {format_duration(seconds)}" + (f": {error.what}" if error else ""))

    def run_ended(self, status: Status) -> None:
        """Print how it ended."""
        self._print(f"run {status.value}")

    def close(self) -> None:
        """Nothing is held."""

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, file=sys.stderr, flush=True)


def progress_text(done: float, total: float, unit: str, elapsed_s: float) -> str:
    """`12.0k of 40.0k tokens, 450 tokens/s, 1m 02s left`."""
    words = [f"{format_count(done)} of {format_count(total)} {unit}".rstrip()]
    if elapsed_s > 0 and done > 0:
        rate = done / elapsed_s
        words += [f"{format_count(float(f'{rate:.3g}'))} {unit}/s", f"{format_duration(max(0.0, total - done) / rate)} left"]
    return ", ".join(words)
