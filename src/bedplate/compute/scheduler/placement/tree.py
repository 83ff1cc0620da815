"""The network's tree, as far as placing needs it: which nodes are in one leaf, one rack, one pod."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Ints


class Tree:
    """Groups of nodes at every level, from the inside out; immutable.

    A node is a group of its own at the innermost level, then come its leaf, what the leaf is in, and so on; at the outermost
    level there is one group. A node whose path is not known is alone up to there.
    """

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        depth = max((len(path) for path in paths), default=0)
        keys = [path or (f"node {at}",) for at, path in enumerate(paths)]
        outer = [_numbered([key[: max(len(key) - above, 1)] for key in keys]) for above in range(depth)]
        self.levels: tuple[Ints, ...] = (np.arange(len(paths)), *outer, np.zeros(len(paths), np.int64))
        """Group of each node, shape (N,), by level: node, leaf, ..., everything."""

    @property
    def leaf_N(self) -> Ints:  # noqa: N802 - a shape suffix
        """Group of each node's leaf."""
        return self.levels[min(1, len(self.levels) - 2)]


def _numbered(keys: Sequence[tuple[str, ...]]) -> Ints:
    numbers = dict[tuple[str, ...], int]()
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
