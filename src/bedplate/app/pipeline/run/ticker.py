"""What a run does next to its step, twice a second: measure memory, look for `cancel`, store progress, collect events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from bedplate.core.errors import BedplateError

_EVERY_S = 0.5


class Ticker:
    """Calls each of `jobs` every half second in a thread of its own, from `with` to its end, once more at the end.

    A job that fails does not disturb the step: it is tried again at the next tick, and its first error is kept.
    """

    def __init__(self, jobs: Sequence[Callable[[], None]]) -> None:
        self._jobs = tuple(jobs)
        self._errors: dict[int, BedplateError | OSError] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bedplate-ticker", daemon=True)

    @property
    def errors(self) -> tuple[BedplateError | OSError, ...]:
        """The first error of each job that failed."""
        return tuple(self._errors.values())

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            is_last = self._ending.wait(_EVERY_S)
            for number, job in enumerate(self._jobs):
                try:
                    job()
                except (BedplateError, OSError) as error:
                    self._errors.setdefault(number, error)
            if is_last:
                return
