"""Shutdown of a server with requests in flight: new requests are refused, what runs may finish for a while, then it is cut."""

from __future__ import annotations

import weakref

from bedplate.service.openai.errors import shutting_down
from bedplate.service.openai.generation import Generation


class Shutdown:
    """Whether the server stops, and what it still works on. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.is_begun = False
        self._is_cut = False
        self._running: weakref.WeakSet[Generation] = weakref.WeakSet()

    def check_new(self) -> None:
        """Raise where a request comes after the server began to stop.

        Raises:
            ApiError: It does (503, with `Retry-After`).
        """
        if self.is_begun:
            raise shutting_down()

    def track(self, generation: Generation) -> None:
        """Note a choice of a request that was accepted; ends it where the time for that is over."""
        self._running.add(generation)
        if self._is_cut:
            generation.shut_down()

    def begin(self) -> None:
        """Refuse new requests from now on."""
        self.is_begun = True

    def cut(self) -> None:
        """End what still runs: its clients get an error after what they have so far."""
        self._is_cut = True
        for generation in list(self._running):
            generation.shut_down()
