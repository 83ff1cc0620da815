"""The scheduler's thread: a pass whenever something happened, and at least every so often."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

from bedplate.app.control.controller import Controller
from bedplate.core.errors import BedplateError, LockLostError, UnavailableError

_AFTER_ERROR_S = 1.0
_LATE_S = 30.0
"""A pass that takes longer hangs: it waits for a node, an engine or the state."""


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
        self._began_s: float | None = None
        """When the pass in hand began."""
        self._thread = threading.Thread(target=self._run, name="bedplate-scheduler", daemon=True)

    @property
    def error(self) -> BaseException | None:
        """Why the last pass failed, or that the one in hand hangs, or that there will be no other; None where all is well."""
        began_s = self._began_s
        if self._error is not None or began_s is None or self._is_ending.is_set():
            return self._error
        if not self._thread.is_alive():
            return UnavailableError("the scheduler's thread has ended", next_step="start the service again; its log says why")
        if (takes_s := time.monotonic() - began_s) > _LATE_S:
            return UnavailableError("a pass of the scheduler hangs", seen=f"{takes_s:.0f} s", expected=f"at most {_LATE_S:g} s")
        return None

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
            self._began_s = time.monotonic()
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
            self._began_s = None
            self._is_woken.wait(_AFTER_ERROR_S if self._error else self._every_s)
