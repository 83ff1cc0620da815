"""Waiting in virtual time: the clock moves from event to event until what is waited for has happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType

from bedplate.core.clock import VirtualClock
from bedplate.core.errors import UnavailableError
from bedplate.core.implements import implements
from bedplate.engines.recorded import News


class VirtualNews:
    """A condition without threads, so there is nothing to lock and nobody to wake."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    @implements(News)
    def __enter__(self) -> None:
        return None

    @implements(News)
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        return None

    @implements(News)
    def notify_all(self) -> None:
        return None

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Move the clock until the predicate holds, by `timeout` at most; returns whether it holds.

        Raises:
            UnavailableError: No timeout was given, and nothing is due that could make it hold.
        """
        end_s = None if timeout is None else self._clock.now() + timeout
        while not predicate():
            at_s = self._clock.next_at()
            if end_s is not None and (at_s is None or at_s > end_s):
                if math.isfinite(end_s):
                    self._clock.advance(end_s - self._clock.now())
                break
            if not self._clock.step():
                raise UnavailableError(
                    "what is waited for will never happen: no event is scheduled",
                    next_step="give the tasks a duration_s, or wait with a timeout",
                )
        return predicate()
