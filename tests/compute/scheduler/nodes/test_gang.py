"""Which nodes a gang gets: all workers or none, in few leaves, on few nodes, and the rest where it fits most tightly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.nodes.gang import most_workers, spread


def spread_over(
    room: list[int], leaf: list[int], count: int, topology: Topology = Topology.ANY, cost: list[float] | None = None
) -> list[tuple[int, int]] | None:
    return spread(np.array(room), np.array(leaf), topology, count, np.array(cost or [0.0] * len(room)))


def test_all_or_nothing() -> None:
    assert spread_over([1, 2, 1], [0, 0, 1], 5) is None
    placed = spread_over([1, 2, 1], [0, 0, 1], 4)
    assert placed is not None and sorted(placed) == [(0, 1), (1, 2), (2, 1)]


def test_the_same_node_is_the_one_with_the_least_room_that_suffices() -> None:
    assert spread_over([4, 3, 2], [0, 0, 0], 3, Topology.SAME_NODE) == [(1, 3)]
    assert spread_over([4, 3, 2], [0, 0, 0], 5, Topology.SAME_NODE) is None


@pytest.mark.parametrize("topology", [Topology.SAME_LEAF, Topology.ANY])
def test_the_leaf_is_the_one_with_the_least_room_that_suffices(topology: Topology) -> None:
    placed = spread_over([1] * 4 + [1] * 3 + [1] * 2, [0] * 4 + [1] * 3 + [2] * 2, 3, topology)
    assert placed == [(4, 1), (5, 1), (6, 1)]


def test_without_a_leaf_for_all_it_takes_few_leaves_the_roomiest_first() -> None:
    assert spread_over([2, 3, 1], [0, 1, 2], 5) == [(1, 3), (0, 2)]
    assert spread_over([2, 3, 1], [0, 1, 2], 5, Topology.SAME_LEAF) is None


def test_the_rest_goes_to_the_node_with_the_least_room_that_suffices() -> None:
    assert spread_over([3, 3, 1, 3], [0] * 4, 7) == [(0, 3), (1, 3), (2, 1)]


def test_cheaper_nodes_come_first_whatever_their_room() -> None:
    assert spread_over([3, 1, 1], [0] * 3, 2, cost=[5.0, 0.0, 0.0]) == [(1, 1), (2, 1)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=12), st.sampled_from(Topology), st.integers(1, 20))
def test_a_gang_is_placed_exactly_when_there_is_room(nodes: list[tuple[int, int]], topology: Topology, count: int) -> None:
    room_N, leaf_N = np.array(nodes, np.int64).reshape(-1, 2).T
    leaves = {leaf: sum(room for room, other in nodes if other == leaf) for _, leaf in nodes}
    rooms = {Topology.SAME_NODE: [room for room, _ in nodes], Topology.SAME_LEAF: list(leaves.values())}
    most = max(rooms.get(topology, [sum(leaves.values())]), default=0)
    assert most_workers(room_N, leaf_N, topology) == most
    placed = spread(room_N, leaf_N, topology, count, np.zeros(len(nodes)))
    assert (placed is not None) == (count <= most)
    for node, workers in placed or []:
        assert 0 < workers <= room_N[node]
    if placed is not None:
        assert sum(workers for _, workers in placed) == count and len({node for node, _ in placed}) == len(placed)
        assert topology is Topology.ANY or len({leaf_N[node] for node, _ in placed}) == 1
