"""How a run is asked to end: Ctrl-C, SIGTERM, or a flag in the state set by `bedplate cancel`.

The first request is polite: whoever waits in a step finds it through `check`. The second signal interrupts whatever the
main thread does, the third has the operating system's own effect.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from bedplate.core.errors import CancelledError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Cancellation:
    """One run's request to end. Thread-safe."""

    def __init__(self) -> None:
        self._why: str | None = None

    @property
    def why(self) -> str | None:
        """Who asked first; None: nobody did."""
        return self._why

    def request(self, why: str) -> None:
        """Ask for the end; the first reason is kept. Takes no lock, so that a signal handler may call it."""
        self._why = self._why or why

    def check(self) -> None:
        """Raise once somebody asked.

        Raises:
            CancelledError: Somebody did.
        """
        if self._why is not None:
            raise CancelledError("the run was cancelled", seen=self._why, next_step="the same command goes on where it stopped")

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM ask for the end while inside; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            for number in _SIGNALS:
                signal.signal(number, self._on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._why is None:
            self.request(name)
            return
        for again in _SIGNALS:
            signal.signal(again, signal.SIG_DFL)
        raise CancelledError("the run was cancelled at once", seen=f"a second {name}", next_step="run it again to go on")
