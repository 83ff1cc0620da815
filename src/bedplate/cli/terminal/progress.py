"""What a verb that runs one thing shows on stderr: its lines, and now and then its progress, rate and remaining time."""

from __future__ import annotations

import time

from bedplate.cli.terminal.output import note

_EVERY_S = 3.0


class TerminalReporter:
    """A `core.reporter.Reporter` on stderr; Ctrl-C ends the work as an exception of its own."""

    def __init__(self) -> None:
        self._begin_s = self._last_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print `text`."""
        note(text)

    def progress(self, done: float, total: float, unit: str) -> None:
        """Print a line when the last one is some seconds old."""
        from bedplate.core.units import format_duration

        now_s = time.monotonic()
        if done <= 1 or now_s - self._last_s < _EVERY_S:
            self._begin_s = now_s if done <= 1 else self._begin_s
            return
        self._last_s = now_s
        rate = done / max(now_s - self._begin_s, 1e-9)
        note(f"  {done:.0f} of {total:.0f} {unit}, {rate:.3g} {unit}/s, {format_duration((total - done) / rate)} left")

    def check_cancelled(self) -> None:
        """Never raises: Ctrl-C already does."""
