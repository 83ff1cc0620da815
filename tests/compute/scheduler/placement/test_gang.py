"""Gangs: all or nothing, near to each other, on few nodes, and as cheap for the policy as one by one."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.placement import POLICIES, open_policy
from bedplate.compute.scheduler.placement.base import PlacementPolicy
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.gang import Gang, Topology, place_gang
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass


def nodes(leaves: int, per_leaf: int, devices: int = 4, pods: int = 1) -> list[Node]:
    return [
        Node(
            name=f"n{leaf}-{at}",
            cpu_milli=32_000,
            memory_mib=64_000,
            num_devices=devices,
            model="A",
            path=(f"pod{leaf * pods // leaves}", f"leaf{leaf}"),
        )
        for leaf in range(leaves)
        for at in range(per_leaf)
    ]


def whole(count: int) -> RequestClass:
    return RequestClass(cpu_milli=1_000 * count, memory_mib=count, num_devices=count, share_milli=WHOLE)


def open_best_fit(cluster: Cluster) -> PlacementPolicy:
    return open_policy("best-fit", cluster, Mix(count_C=np.zeros(0)))


def placed(
    cluster: Cluster, need: RequestClass, count: int, topology: Topology = Topology.ANY, least: int | None = None
) -> list:
    gang = Gang(item=cluster.class_of(need), count=count, min_count=least, topology=topology)
    return [taken.node for taken in place_gang(cluster, open_best_fit(cluster), gang)]


def leaves_of(cluster: Cluster, at: list[int]) -> set[str]:
    return {cluster.nodes[node].path[-1] for node in at}


def test_all_or_nothing() -> None:
    cluster = Cluster(nodes(2, 2))
    before = cluster.version_N.tolist()
    assert placed(cluster, whole(4), 5) == []
    assert cluster.version_N.tolist() == before
    assert sorted(placed(cluster, whole(4), 4)) == [0, 1, 2, 3]


def test_an_elastic_gang_takes_what_there_is_but_not_less_than_its_least() -> None:
    cluster = Cluster(nodes(2, 2))
    cluster.place(0, cluster.class_of(whole(1)))
    assert placed(cluster, whole(4), 8, least=4) == []
    assert sorted(placed(cluster, whole(4), 8, least=3)) == [1, 2, 3]


def test_the_same_node_where_the_policy_wants_it() -> None:
    cluster = Cluster(nodes(1, 3))
    one = cluster.class_of(whole(1))
    cluster.place(1, one)
    cluster.place(2, one)
    cluster.place(2, one)
    assert placed(cluster, whole(1), 5, Topology.SAME_NODE) == []
    assert placed(cluster, whole(1), 3, Topology.SAME_NODE) == [1, 1, 1]
    assert placed(cluster, whole(1), 9, Topology.SAME_NODE, least=2) == [0, 0, 0, 0]


def test_the_same_leaf_is_the_one_with_the_least_room_that_suffices() -> None:
    cluster = Cluster(nodes(3, 4))
    cluster.place(4, cluster.class_of(whole(4)))
    for node in (8, 9, 10):
        cluster.place(node, cluster.class_of(whole(4)))
    assert leaves_of(cluster, placed(cluster, whole(4), 3, Topology.SAME_LEAF)) == {"leaf1"}
    assert placed(cluster, whole(4), 5, Topology.SAME_LEAF) == []


def test_any_takes_one_leaf_if_it_can_then_one_pod_then_few_leaves() -> None:
    cluster = Cluster(nodes(8, 4, pods=2))
    for leaf in range(4):  # the first pod has three free nodes a leaf
        cluster.place(4 * leaf, cluster.class_of(whole(4)))
    assert leaves_of(cluster, placed(cluster, whole(4), 3)) < {f"leaf{at}" for at in range(4)}
    with cluster.trial():
        at = placed(cluster, whole(4), 16)
        assert leaves_of(cluster, at) == {"leaf4", "leaf5", "leaf6", "leaf7"}
        assert [cluster.nodes[node].path for node in at] == sorted(cluster.nodes[node].path for node in at)
    at = placed(cluster, whole(4), 18)
    assert len(leaves_of(cluster, at)) == 5


def test_workers_share_nodes_and_the_rest_goes_where_it_fits_best() -> None:
    """Two of three fit on a node; the last one, a whole node's third, goes to a node that has just that."""
    cluster = Cluster(nodes(1, 4, devices=6))
    cluster.place(3, cluster.class_of(whole(4)))
    workers = Counter(placed(cluster, whole(2), 7))
    assert workers[3] == 1 and sorted(workers.values()) == [1, 3, 3]


@pytest.mark.parametrize("name", ["best-fit", "gpu-packing", "fgd", "rollout"])
def test_of_one_leaf_a_gang_gets_the_nodes_that_single_decisions_would_choose(name: str) -> None:
    cluster = Cluster(nodes(1, 12))
    needs = [cluster.class_of(whole(count)) for count in (1, 2, 3)]
    policy = open_policy(name, cluster, Mix(count_C=np.array([5.0, 3.0, 2.0])))
    generator = random.Random(4)
    for node in range(9):
        cluster.place(node, generator.choice(needs[:2]))
        cluster.place(node, needs[0])
    item = cluster.class_of(whole(2))
    with cluster.trial():
        alone = []
        for _ in range(4):
            choice = policy.choose(item)
            assert choice is not None
            alone.append(cluster.place(choice.node, item, choice.device).node)
    room = [int(count) // 2 for count in (cluster.free.shares == WHOLE).sum(axis=1)]
    one_a_node = np.array(room) == 1
    together = [taken.node for taken in place_gang(cluster, policy, Gang(item=item, count=4), one_a_node)]
    assert sorted(together) == sorted(alone)


def test_shares_and_cpu_only_workers_are_gangs_too() -> None:
    cluster = Cluster(nodes(1, 2, devices=2))
    share = RequestClass(cpu_milli=10, memory_mib=1, num_devices=1, share_milli=400)
    assert len(set(placed(cluster, share, 4))) == 1
    assert len(placed(cluster, share, 9, least=1)) == 4
    cpu = RequestClass(cpu_milli=15_000, memory_mib=0)
    assert sorted(placed(cluster, cpu, 4)) == [0, 0, 1, 1]
    cluster.check_integrity()


def test_nodes_whose_place_is_not_known_are_no_leaf_together() -> None:
    cluster = Cluster([Node(name=str(at), cpu_milli=9_000, memory_mib=9, num_devices=1, model="A") for at in range(4)])
    assert placed(cluster, whole(1), 2, Topology.SAME_LEAF) == []
    assert len(placed(cluster, whole(1), 2)) == 2


@pytest.mark.parametrize("name", POLICIES)
def test_where_a_gang_may_go_and_a_bias_count(name: str) -> None:
    cluster = Cluster(nodes(4, 2))
    policy = open_policy(name, cluster, Mix(count_C=np.zeros(0)))
    gang = Gang(item=cluster.class_of(whole(4)), count=2)
    allowed, bias = np.ones(8, bool), np.zeros(8)
    allowed[[0, 2]] = False
    bias[[4, 5]] = 500
    assert {taken.node for taken in place_gang(cluster, policy, gang, allowed, bias)} == {6, 7}
    assert {taken.node for taken in place_gang(cluster, policy, gang, allowed, bias)} == {4, 5}
    assert {taken.node for taken in place_gang(cluster, policy, gang, allowed, bias)} == {1, 3}
    assert place_gang(cluster, policy, gang, allowed, bias) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(Topology)))
def test_a_gang_is_placed_exactly_when_there_is_room(seed: int, topology: Topology) -> None:
    generator = random.Random(seed)
    cluster = Cluster(nodes(4, 3, pods=2))
    policy = open_best_fit(cluster)
    for _ in range(generator.randrange(12)):
        item = cluster.class_of(whole(generator.randint(1, 4)))
        if (choice := open_policy("random", cluster, Mix(count_C=np.zeros(0)), seed).choose(item)) is not None:
            cluster.place(choice.node, item)
    size, count = generator.randint(1, 4), generator.randint(1, 12)
    room_N = (cluster.free.shares == WHOLE).sum(axis=1) // size
    most = {Topology.SAME_NODE: room_N.max(), Topology.SAME_LEAF: room_N.reshape(4, 3).sum(axis=1).max()}.get(
        topology, room_N.sum()
    )
    least = generator.randint(1, count)
    got = place_gang(cluster, policy, Gang(item=cluster.class_of(whole(size)), count=count, min_count=least, topology=topology))
    assert len(got) == (min(count, most) if most >= least else 0)
    cluster.check_integrity()
    for taken in got:
        cluster.release(taken)
