"""What a run does beside its step, twice a second: measure memory, look for `cancel`, store progress, collect events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from bedplate.core.errors import BedplateError

_EVERY_S = 0.5


class Pulse:
    """Calls each of `duties` every half second in a thread of its own, from `with` to its end, once more at the end.

    A duty that fails does not disturb the step: it is not called again, and its error is kept in `errors`.
    """

    def __init__(self, duties: Sequence[Callable[[], None]]) -> None:
        self.errors: list[BedplateError | OSError] = []
        self._duties = list(duties)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="bedplate-pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            is_last = self._ending.wait(_EVERY_S)
            for duty in list(self._duties):
                try:
                    duty()
                except (BedplateError, OSError) as error:
                    self.errors.append(error)
                    self._duties.remove(duty)
            if is_last:
                return
