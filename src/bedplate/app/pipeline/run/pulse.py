"""What a run does beside its step, twice a second: measure memory, look for `cancel`, store progress, collect events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from bedplate.core.errors import BedplateError

_EVERY_S = 0.5


class Pulse:
    """Calls each of `duties` every half second in a thread of its own, from `with` to its end, once more at the end.

    A duty that fails does not disturb the step: it is tried again at the next beat, and its first error is kept.
    """

    def __init__(self, duties: Sequence[Callable[[], None]]) -> None:
        self._duties = tuple(duties)
        self._errors: dict[int, BedplateError | OSError] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="bedplate-pulse", daemon=True)

    @property
    def errors(self) -> tuple[BedplateError | OSError, ...]:
        """The first error of each duty that failed."""
        return tuple(self._errors.values())

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            is_last = self._ending.wait(_EVERY_S)
            for number, duty in enumerate(self._duties):
                try:
                    duty()
                except (BedplateError, OSError) as error:
                    self._errors.setdefault(number, error)
            if is_last:
                return
