"""The end of a server that is answering: new requests are refused, what runs may finish for a while, then it is cut."""

from __future__ import annotations

import weakref

from bedplate.service.openai.errors import shutting_down
from bedplate.service.openai.generation import Generation


class Shutdown:
    """Whether the server stops, and what it still works on. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.is_begun = False
        self._running: weakref.WeakSet[Generation] = weakref.WeakSet()

    def check(self) -> None:
        """Raise once the server stops.

        Raises:
            ApiError: It does (503, with `Retry-After`).
        """
        if self.is_begun:
            raise shutting_down()

    def track(self, generation: Generation) -> None:
        """Note a choice that is under way."""
        self._running.add(generation)

    def begin(self) -> None:
        """Refuse new requests from now on."""
        self.is_begun = True

    def cut(self) -> None:
        """End what still runs: its clients get an error with what they have so far."""
        for generation in list(self._running):
            generation.shut_down()
