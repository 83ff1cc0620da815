"""Shapes of jobs for which there is no room, remembered until room is made for them.

Most passes of a busy cluster find what the pass before found. Room grows in few places (a job ended, a node came), so a shape
that did not fit is looked at again only where some was freed that would take one of its workers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import njit

from bedplate.compute.scheduler.nodes.needs import Shape
from bedplate.compute.scheduler.nodes.room import room
from bedplate.compute.scheduler.placement.arrays import Bools, Classes, Ints, States
from bedplate.compute.scheduler.placement.cluster import Cluster


class FitMemo:
    """Has one owner, the state. What it says never changes what is decided, only how fast."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._no_room: dict[Shape, None] = {}
        self._freed: set[int] = set()
        self._table: tuple[list[Shape], Ints, Ints] | None = None

    def freed(self, nodes: Iterable[int]) -> None:
        """There is more room on these nodes."""
        self._freed.update(nodes)

    def forget(self) -> None:
        """Anything may fit now."""
        self._no_room.clear()
        self._table = None

    def no_room(self, shape: Shape) -> None:
        """There is no room for a job of that shape, and nothing was placed in a trial."""
        if shape not in self._no_room:
            self._no_room[shape] = None
            self._table = None

    def may_fit(self, shape: Shape) -> bool:
        """Whether there may be room for a job of that shape, as of the last `refresh`."""
        return shape not in self._no_room

    def refresh(self) -> None:
        """Forget the shapes of which a worker fits where room was freed; before anything is placed in a trial."""
        if not self._freed:
            return
        nodes = np.array(sorted(self._freed), np.int64)
        self._freed.clear()
        if not self._no_room:
            return
        if self._table is None:
            shapes = list(self._no_room)
            items = [(at, variant.item) for at, shape in enumerate(shapes) for variant in shape.variants]
            owner, item = np.array(items, np.int64).reshape(-1, 2).T.copy()
            self._table = (shapes, owner, item)
        shapes, owner, item = self._table
        fits = _fitting(self._cluster.free, self._cluster.requests, item, nodes)
        for at in dict.fromkeys(owner[fits].tolist()):
            del self._no_room[shapes[at]]
            self._table = None


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fitting(free: States, classes: Classes, items: Ints, nodes: Ints) -> Bools:
    """Which of the classes have room for a worker on any of the nodes."""
    fits = np.zeros(len(items), np.bool_)
    for at in range(len(items)):
        fits[at] = room(free, classes, items[at], nodes).any()
    return fits
