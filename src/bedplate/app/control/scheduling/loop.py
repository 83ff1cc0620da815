"""The scheduler's thread: a pass whenever something happened, and at least every so often."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from bedplate.app.control.scheduling.controller import Controller
from bedplate.core.errors import BedplateError, LockLostError

_AFTER_ERROR_S = 1.0


class SchedulerLoop:
    """Runs passes until `close`. Errors are kept and passes tried again; only a lost lock ends it.

    Args:
        controller: Makes the passes.
        every_s: How often at least.
        on_lost: Called once, from the thread, when another scheduler took over.
    """

    def __init__(self, controller: Controller, every_s: float, on_lost: Callable[[BedplateError], None]) -> None:
        self._controller, self._every_s, self._on_lost = controller, every_s, on_lost
        self._is_woken, self._is_ending = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._num_passes = 0
        self._thread = threading.Thread(target=self._run, name="bedplate-scheduler", daemon=True)

    @property
    def error(self) -> BaseException | None:
        """Why the last pass failed; None where it did not."""
        return self._error

    @property
    def num_passes(self) -> int:
        """Passes that were made."""
        return self._num_passes

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Something happened."""
        self._is_woken.set()

    def close(self) -> None:
        """Finish the pass in hand, and make no other."""
        self._is_ending.set()
        self._is_woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_ending.is_set():
            self._is_woken.clear()
            try:
                self._controller.step()
                self._error = None
            except LockLostError as error:
                self._error = error
                self._on_lost(error)
                return
            except BedplateError as error:
                self._error = error
            except Exception as error:  # a fault of ours must not end the service: what is on record is read again
                self._error = error
                traceback.print_exc()
            self._num_passes += 1
            self._is_woken.wait(_AFTER_ERROR_S if self._error else self._every_s)
