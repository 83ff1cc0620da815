"""How a run is asked to end: Ctrl-C, SIGTERM, SIGHUP (its terminal was closed), or a flag in the state (`bedplate cancel`).

The first request is polite: a step that waits finds it through `check`. The second SIGINT or SIGTERM interrupts what
the main thread does, the third has the operating system's own effect. SIGHUP never interrupts: a terminal that closes may
send several, and service managers send one after SIGTERM. A process that was started to survive it (`nohup`) does.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from bedplate.core.errors import CancelledError

RESUME = "run the same command again to resume"
_IMPATIENT = (signal.SIGINT, signal.SIGTERM)
_SIGNALS = (*_IMPATIENT, signal.SIGHUP)


class Cancellation:
    """One run's request to end. Thread-safe."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._may_interrupt = False

    @property
    def why(self) -> str | None:
        """What asked first; None: nothing did."""
        return self._why

    def request(self, why: str) -> None:
        """Ask for the end; the first reason is kept. Takes no lock, so that a signal handler may call it."""
        self._why = self._why or why
        self._may_interrupt = True

    def check(self) -> None:
        """Raise once the end was asked for.

        Raises:
            CancelledError: It was.
        """
        if self._why is not None:
            raise CancelledError("the run was cancelled", seen=self._why, next_step=RESUME)

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let signals ask for the end while inside; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        if before[signal.SIGHUP] is signal.SIG_IGN:
            del before[signal.SIGHUP]
        try:
            for number in before:
                signal.signal(number, self._on_signal)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if number not in _IMPATIENT:
            self._why = self._why or name
            return
        if not self._may_interrupt:
            self.request(name)
            return
        for again in _IMPATIENT:
            signal.signal(again, signal.SIG_DFL)
        raise CancelledError("the run was cancelled immediately", seen=f"a second {name}", next_step=RESUME)
