"""What a person sees of a run: a live view on a terminal, plain lines everywhere else. Both on stderr."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Protocol

from bedplate.app.pipeline.run.watch import RunWatcher, Status
from bedplate.core.errors import BedplateError
from bedplate.core.units import format_count, format_duration

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
    from bedplate.cli.terminal.live import LiveWatcher

    return LiveWatcher(explain=explain)


class PlainWatcher:
    """Lines on stderr; of a step's progress at most one in five seconds. When stderr is closed, the run continues."""

    def __init__(self, *, explain: bool) -> None:
        self._explain = explain
        self._lock = threading.Lock()
        self._printed_s = 0.0
        self._pace = Pace()

    def run_started(self, run_id: str, steps: tuple[str, ...], done: tuple[str, ...]) -> None:
        """Name the run, and what is skipped."""
        self._print(f"run {run_id}: {' -> '.join(steps)}")
        if done:
            self._print(f"already done, kept: {', '.join(done)}")

    def step_started(self, name: str, use: str, explanation: str) -> None:
        """Name the step."""
        self._printed_s, self._pace = time.monotonic(), Pace()
        if self._explain:
            self._print(f"\n== {name} ({use}): {explanation}")
        else:
            self._print(f"[{name}] {Status.RUNNING.value}: {use}")

    def step_progressed(self, name: str, done: float, total: float, unit: str) -> None:
        """Print it when the last line is old enough."""
        now_s = time.monotonic()
        with self._lock:
            self._pace.move(now_s, done, total, unit)
            if now_s - self._printed_s < _LINE_EVERY_S:
                return
            self._printed_s, text = now_s, str(self._pace)
        self._print(f"[{name}] {text}")

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
        with self._lock, contextlib.suppress(OSError):  # the reader of the pipe is gone; the run is not for it alone
            print(text, file=sys.stderr, flush=True)


class Pace:
    """How far a step is, and how fast it got there since it first said so: what came before (loading) is not its rate."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._now = (0.0, 0.0)
        self._total, self._unit = 0.0, ""

    def move(self, now_s: float, done: float, total: float, unit: str) -> None:
        """The step is at `done` of `total`; another unit, or less done than before, begins anew."""
        if self._first is None or unit != self._unit or done < self._now[1]:
            self._first = (now_s, done)
        self._now, self._total, self._unit = (now_s, done), total, unit

    @property
    def share(self) -> tuple[float, float]:
        """Done and total."""
        return self._now[1], self._total

    def __str__(self) -> str:
        """`12.0k of 40.0k tokens, 500 tokens/s, 56 s left`."""
        assert self._first is not None
        (first_s, first_done), (now_s, done) = self._first, self._now
        words = [f"{format_count(done)} of {format_count(self._total)} {self._unit}".rstrip()]
        if now_s > first_s and done > first_done:
            rate = (done - first_done) / (now_s - first_s)
            left_s = max(0.0, self._total - done) / rate
            words += [f"{format_count(float(f'{rate:.3g}'))} {self._unit}/s", f"{format_duration(left_s)} left"]
        return ", ".join(words)
