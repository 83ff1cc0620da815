"""Which nodes there are: asked of the engine again and again, in a thread, since a cluster may take its time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from bedplate.core.devices import Node
from bedplate.core.errors import BedplateError

_JOIN_S = 5.0


class NodeWatch:
    """The newest answer of an engine about its nodes; a thread of its own while inside."""

    def __init__(self, read: Callable[[], tuple[Node, ...]], every_s: float, on_change: Callable[[], None]) -> None:
        """Ask once, so that what cannot be reached is known at the start.

        Args:
            read: Asks the engine.
            every_s: How often.
            on_change: Called when the answer is another one.

        Raises:
            BedplateError: The engine cannot be asked.
        """
        self._read, self._every_s, self._on_change = read, every_s, on_change
        self._nodes = read()
        self._error: BedplateError | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bedplate-nodes", daemon=True)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The newest answer."""
        return self._nodes

    @property
    def error(self) -> BedplateError | None:
        """Why the engine could not be asked the last time; the nodes are those of the time before."""
        return self._error

    def __enter__(self) -> NodeWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        while not self._ending.wait(self._every_s):
            try:
                nodes = self._read()
            except BedplateError as error:
                self._error = error
                continue
            self._error = None
            if nodes != self._nodes:
                self._nodes = nodes
                self._on_change()
