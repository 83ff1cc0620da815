"""A cluster that changes: nodes and classes that come and go, what is released, trials, and policies that follow."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.placement import POLICIES, open_policy
from bedplate.compute.scheduler.placement.base import Choice, PlacementPolicy
from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster, Taken
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.core.errors import UsageError
from tests.compute.traces import NEEDS, make_nodes

CLASSES = [need for _, need in NEEDS]
NO_HISTORY = Mix(count_C=np.zeros(0))
ONE_DEVICE = RequestClass(cpu_milli=1, memory_mib=1, num_devices=1, share_milli=WHOLE)
HALF = RequestClass(cpu_milli=1, memory_mib=1, num_devices=1, share_milli=500)
NOTHING = RequestClass(cpu_milli=0, memory_mib=0)


def node(name: str, devices: int = 2, model: str = "A", **more: tuple[str, ...]) -> Node:
    return Node(name=name, cpu_milli=8_000, memory_mib=8_000, num_devices=devices, model=model, **more)


class Operator:
    """Does one thing after the other to a cluster, as a number says."""

    def __init__(self, cluster: Cluster, policy: PlacementPolicy) -> None:
        self.cluster, self.policy = cluster, policy
        self.held: list[Taken] = []
        self.num_added = 0

    def act(self, number: int, *, in_trial: bool = False) -> None:
        kind, at = number % 10, number // 10
        cluster = self.cluster
        present = cluster.present().tolist()
        index = present[at % len(present)]
        if kind < 5:
            item = cluster.class_of(CLASSES[at % len(CLASSES)])
            self.policy.observe(item)
            if choice := self.policy.choose(item):
                self.held.append(cluster.place(choice.node, item, choice.device))
        elif kind == 5 and self.held:
            cluster.release(self.held.pop(at % len(self.held)))
        elif kind == 6:
            cluster.set_usable(index, bool(at % 3))
        elif kind == 7 and cluster.nodes[index].num_devices:
            cluster.set_device_usable(index, at % cluster.nodes[index].num_devices, bool(at % 2))
        elif kind == 8 and not in_trial:
            self.num_added += 1
            cluster.add_node(node(f"added-{self.num_added}", devices=at % 10, model="AE"[at % 2]))
        elif kind == 9 and not in_trial and len(present) > 2:
            cluster.remove_node(index)


def everything(cluster: Cluster) -> list:
    return [field.tolist() for field in (*cluster.free, cluster.usable_N, cluster.version_N)]


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"random", "tight"}))  # tight keeps nothing
@settings(max_examples=15, deadline=None)
@given(numbers=st.lists(st.integers(0, 9_999), max_size=80))
def test_a_policy_that_followed_every_change_chooses_as_one_that_computes_all_again(name: str, numbers: list[int]) -> None:
    cluster = Cluster(make_nodes(9))
    policy = open_policy(name, cluster, NO_HISTORY)
    operator = Operator(cluster, policy)
    for number in numbers:
        operator.act(number)
    cluster.check_integrity()
    for item in range(len(cluster.classes)):
        kept = policy.choose(item)
        vars(policy)["_table"].invalidate()
        assert policy.choose(item) == kept


@settings(max_examples=30, deadline=None)
@given(before=st.lists(st.integers(0, 9_999), max_size=30), inside=st.lists(st.integers(0, 9_999), max_size=30))
def test_a_trial_leaves_nothing_behind(before: list[int], inside: list[int]) -> None:
    cluster = Cluster(make_nodes(9))
    operator = Operator(cluster, open_policy("best-fit", cluster, NO_HISTORY))
    for number in before:
        operator.act(number)
    state = everything(cluster)
    held = list(operator.held)
    with cluster.trial():
        for number in inside[::2]:
            operator.act(number, in_trial=True)
        middle = everything(cluster)
        outer_held = list(operator.held)
        with cluster.trial():
            for number in inside[1::2]:
                operator.act(number, in_trial=True)
        assert everything(cluster) == middle
        operator.held = outer_held
    assert everything(cluster) == state
    cluster.check_integrity()
    for taken in held:
        cluster.release(taken)


def test_a_trial_that_fails_is_undone_too() -> None:
    cluster = Cluster([node("a")], [ONE_DEVICE])
    state = everything(cluster)
    with pytest.raises(ZeroDivisionError), cluster.trial():
        cluster.place(0, 0)
        1 / 0  # noqa: B018
    assert everything(cluster) == state


def test_carrying_out_what_a_trial_decided_leads_to_the_same_versions() -> None:
    """So that costs computed in the trial are not computed again."""
    cluster = Cluster(make_nodes(4), CLASSES)
    with cluster.trial():
        taken = [cluster.place(1, 0), cluster.place(2, 3, 0)]
        inside = cluster.version_N.tolist()
    assert cluster.version_N.tolist() != inside
    for one in taken:
        cluster.occupy(one)
    assert cluster.version_N.tolist() == inside


def test_what_is_released_can_be_taken_again() -> None:
    cluster = Cluster([node("a", 1)], [HALF, ONE_DEVICE])
    state = everything(cluster)
    first, second = cluster.place(0, 0, 0), cluster.place(0, 0, 0)
    assert first == Taken(node=0, devices=(0,), milli=500, cpu_milli=1, memory_mib=1)
    assert open_policy("best-fit", cluster, NO_HISTORY).choose(1) is None
    cluster.release(first)
    cluster.release(second)
    assert everything(cluster) == state


@pytest.mark.parametrize(
    "change",
    [
        {"devices": (1,)},
        {"milli": 501},
        {"cpu_milli": 2},
        {"memory_mib": 2},
        {"devices": (0, 0), "milli": 250},
        {"devices": (5,)},
    ],
    ids=str,
)
def test_releasing_what_is_not_held_is_a_bug(change: dict) -> None:
    cluster = Cluster([node("a")], [HALF])
    taken = cluster.place(0, 0, 0)
    wrong = {name: change.get(name, getattr(taken, name)) for name in Taken.__slots__}
    state = everything(cluster)
    with pytest.raises(AssertionError):
        cluster.release(Taken(**wrong))
    assert everything(cluster) == state


def test_after_a_restart_everything_is_held_again_on_the_same_devices_drained_nodes_too() -> None:
    before = Cluster(make_nodes(4), CLASSES)
    held = [before.place(3, 3, 2), before.place(3, 0), before.place(1, 9)]
    after = Cluster(make_nodes(4), CLASSES)
    after.set_usable(3, False)
    for taken in held:
        after.occupy(taken)
    after.set_usable(3, True)
    assert everything(after) == everything(before)


def test_nothing_goes_to_a_drained_node_not_even_what_needs_nothing() -> None:
    cluster = Cluster([node("a"), node("b")], [NOTHING, ONE_DEVICE])
    for name in POLICIES:
        cluster.set_usable(0, True)
        policy = open_policy(name, cluster, NO_HISTORY)
        policy.choose(0)
        cluster.set_usable(0, False)
        for item in (0, 1):
            choice = policy.choose(item)
            assert choice is not None and choice.node == 1
    cluster.set_usable(1, False)
    assert cluster.capacity_milli == 0
    assert policy.choose(0) is None


def test_a_broken_device_is_left_out() -> None:
    cluster = Cluster([node("a", 3)], [ONE_DEVICE, HALF])
    cluster.set_device_usable(0, 1, False)
    assert cluster.capacity_milli == 2 * WHOLE
    assert cluster.place(0, 0).devices == (0,)
    assert cluster.place(0, 0).devices == (2,)
    cluster.set_device_usable(0, 1, True)
    assert cluster.place(0, 0).devices == (1,)


def test_the_index_of_a_removed_node_is_used_again_when_nothing_is_held_there() -> None:
    cluster = Cluster([node("a"), node("b")], [ONE_DEVICE])
    taken = cluster.place(0, 0)
    cluster.remove_node(0)
    with pytest.raises(KeyError):
        cluster.index_of("a")
    assert cluster.add_node(node("a", 5, "C")) == 2
    cluster.release(taken)
    assert cluster.add_node(node("c", 7)) == 0 == cluster.index_of("c")
    assert cluster.free.shares[0].tolist() == [WHOLE] * 7
    cluster.check_integrity()
    with pytest.raises(UsageError, match="one name"):
        cluster.add_node(node("b"))


def test_a_model_that_comes_later_is_accepted_by_classes_that_named_it_before() -> None:
    cluster = Cluster([node("a")])
    item = cluster.class_of(RequestClass(cpu_milli=1, memory_mib=1, num_devices=1, share_milli=WHOLE, models=("Z",)))
    assert cluster.class_of(cluster.classes[item]) == item
    for name in POLICIES:
        policy = open_policy(name, cluster, NO_HISTORY)
        assert policy.choose(item) is None
        added = cluster.add_node(node("z", 9, "Z"))
        assert policy.choose(item) == Choice(node=added, device=-1)
        cluster.remove_node(added)


@pytest.mark.parametrize("name", POLICIES)
def test_where_it_may_go_and_a_bias_compose_with_the_cost(name: str) -> None:
    cluster = Cluster([node(f"n{at}") for at in range(6)], [ONE_DEVICE])
    policy = open_policy(name, cluster, NO_HISTORY)
    allowed = np.array([False, True, True, False, True, False])
    bias = np.array([-900.0, 500.0, 0.0, -900.0, 500.0, 0.0])
    for _ in range(2):
        choice = policy.choose(0, allowed, bias)
        assert choice is not None and choice.node == 2
        cluster.place(2, 0)
    choice = policy.choose(0, allowed)
    assert choice is not None and choice.node in (1, 4)
    assert policy.choose(0, np.zeros(6, bool)) is None


def test_of_a_node_with_several_models_whole_devices_are_of_one() -> None:
    models = ("A", "B", "A", "B", "B")
    two = RequestClass(cpu_milli=1, memory_mib=1, num_devices=2, share_milli=WHOLE)
    only_a = RequestClass(cpu_milli=1, memory_mib=1, num_devices=1, share_milli=300, models=("A",))
    cluster = Cluster([node("mixed", 5, device_models=models)], [two, only_a])
    _, device, after = find_candidates(cluster.free, cluster.requests, 0, np.arange(1))
    assert device.tolist() == [0, 1]
    assert after.shares.tolist() == [[0, WHOLE, 0, WHOLE, WHOLE], [WHOLE, 0, WHOLE, 0, WHOLE]]
    for choice in device.tolist():
        with cluster.trial():
            cluster.place(0, 0, choice)
            assert cluster.free.shares[0].tolist() == after.shares[choice].tolist()
    for name in POLICIES:
        choice = open_policy(name, cluster, NO_HISTORY).choose(1)
        assert choice is not None and models[choice.device] == "A"
    cluster.place(0, 1, 0)
    assert find_candidates(cluster.free, cluster.requests, 0, np.arange(1))[1].tolist() == [1]
    with pytest.raises(UsageError, match="model of each device"):
        node("short", 3, device_models=("A",))


def test_rollout_without_history_learns_from_what_arrives() -> None:
    """Eight nodes: half of the devices are wanted by two at a time; single devices leave pairs free once that is known."""
    pair = RequestClass(cpu_milli=1, memory_mib=1, num_devices=2, share_milli=WHOLE)
    generator = random.Random(3)

    cluster = Cluster([node(f"n{at}") for at in range(8)], [ONE_DEVICE, pair])
    policy = open_policy("rollout", cluster, NO_HISTORY)
    for _ in range(600):
        policy.observe(generator.choice([0, 0, 1]))
    for _ in range(2):
        choice = policy.choose(0)
        assert choice is not None
        cluster.place(choice.node, 0, choice.device)
    assert sorted(cluster.free.shares.sum(axis=1).tolist()) == [0] + [2 * WHOLE] * 7
