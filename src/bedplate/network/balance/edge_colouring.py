"""Colours the edges of a bipartite multigraph so that no two of one colour meet: on a leaf-spine fabric, colour = spine.

Nodes on the left are leaves as senders, on the right leaves as receivers, each flow is an edge. König (1916): as many
colours suffice as the busiest node has edges. So with at most S flows out of and into each leaf, S spines give each flow
links of its own. Constructive by alternating paths; O(edges * nodes).
"""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.errors import UsageError


def colour_edges(lefts: Sequence[int], rights: Sequence[int], num_colours: int) -> list[int]:
    """A colour 0 … num_colours-1 for each edge; edges that share an end differ.

    Args:
        lefts: Left end of each edge, from 0.
        rights: Right end of each edge, from 0; numbered separately from `lefts`.
        num_colours: At least the largest number of edges at one end.

    Raises:
        UsageError: Fewer colours than the busiest end has edges.
    """
    busiest = most_edges_at_one_end(lefts, rights)
    if busiest > num_colours:
        raise UsageError("too few colours for these edges", seen=num_colours, expected=f"at least {busiest}")
    return _Colouring(lefts, rights, num_colours).run()


def most_edges_at_one_end(lefts: Sequence[int], rights: Sequence[int]) -> int:
    """The degree of the multigraph; 0 without edges."""
    return max((list(ends).count(node) for ends in (lefts, rights) for node in set(ends)), default=0)


class _Colouring:
    """The table of which edge has which colour at each end."""

    def __init__(self, lefts: Sequence[int], rights: Sequence[int], num_colours: int) -> None:
        first_right = max(lefts, default=-1) + 1
        self._ends = [(left, right + first_right) for left, right in zip(lefts, rights, strict=True)]
        num_nodes = first_right + max(rights, default=-1) + 1
        self._edge_at: list[list[int | None]] = [[None] * num_colours for _ in range(num_nodes)]
        self._colours = [-1] * len(self._ends)

    def run(self) -> list[int]:
        for edge, (left, right) in enumerate(self._ends):
            colour, other = self._edge_at[left].index(None), self._edge_at[right].index(None)
            if self._edge_at[right][colour] is not None:
                self._swap_along(right, colour, other)
            self._set(edge, colour)
        return self._colours

    def _swap_along(self, node: int, colour: int, other: int) -> None:
        """Exchange two colours on the path of edges that leaves `node` with `colour`, so that `colour` is free there.

        The path cannot end at the edge's left end: it would arrive there with `colour`, which is free at that end.
        """
        path, wanted = [], colour
        while (edge := self._edge_at[node][wanted]) is not None:
            path.append(edge)
            node = sum(self._ends[edge]) - node
            wanted = colour + other - wanted
        for edge in path:
            for end in self._ends[edge]:
                self._edge_at[end][self._colours[edge]] = None
        for edge in path:
            self._set(edge, colour + other - self._colours[edge])

    def _set(self, edge: int, colour: int) -> None:
        self._colours[edge] = colour
        for end in self._ends[edge]:
            self._edge_at[end][colour] = edge
