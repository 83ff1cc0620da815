"""What every policy owes, and what each one prefers."""

import random

import numpy as np
import pytest

from bedplate.compute.scheduler.placement import POLICIES, open_policy
from bedplate.compute.scheduler.placement.base import Choice
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.device_values import device_values
from bedplate.compute.scheduler.placement.drift import FIRST_LOOK, MixWatch
from bedplate.compute.scheduler.placement.fgd import fragmentation, typical_classes
from bedplate.compute.scheduler.placement.mix import Mix, mix_of
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.scheduler.placement.rollout import rollout_waste
from bedplate.compute.scheduler.placement.scarcity import Scarcity
from bedplate.compute.simulate.packing import PackingTrace
from bedplate.core.errors import UsageError
from tests.compute.traces import make_nodes, make_pods


def node(name: str, devices: int, cpu_milli: int = 64_000, model: str = "A") -> Node:
    return Node(name=name, cpu_milli=cpu_milli, memory_mib=1_000_000, num_devices=devices, model=model)


def share(milli: int, cpu_milli: int = 1_000) -> RequestClass:
    return RequestClass(cpu_milli=cpu_milli, memory_mib=1, num_devices=1, share_milli=milli)


def whole(count: int = 1, cpu_milli: int = 1_000, models: tuple[str, ...] = ()) -> RequestClass:
    return RequestClass(cpu_milli=cpu_milli, memory_mib=1, num_devices=count, share_milli=WHOLE, models=models)


def equal_mix(cluster: Cluster) -> Mix:
    return Mix(count_C=np.ones(len(cluster.classes)))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_places_what_fits_and_nothing_else(name: str) -> None:
    trace = PackingTrace(make_nodes(24), make_pods(300), 1.3)
    cluster = Cluster(trace.nodes, trace.classes)
    policy = open_policy(name, cluster, equal_mix(cluster), seed=3)
    random_items = random.Random(5).choices(range(len(trace.classes)), k=400)
    placed = 0
    for item in random_items:
        choice = policy.choose(item)
        fits = open_policy("random", cluster, equal_mix(cluster)).choose(item) is not None
        assert (choice is not None) == fits
        if choice is not None:
            cluster.place(choice.node, item, choice.device)
            placed += 1
            cluster.check_integrity()
    assert 50 < placed < 400


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_placements(name: str) -> None:
    trace = PackingTrace(make_nodes(24), make_pods(300), 1.3)
    runs = [trace.run(name, seed=4, bound_frac=1.0) for _ in range(2)]
    assert runs[0].allocation_frac == runs[1].allocation_frac
    assert runs[0].num_skipped == runs[1].num_skipped


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"random"}))
def test_the_order_of_the_node_file_does_not_matter(name: str) -> None:
    nodes = make_nodes(40)
    shuffled = nodes[:]
    random.Random(1).shuffle(shuffled)
    assert nodes != shuffled
    runs = [PackingTrace(order, make_pods(300), 1.3).run(name, seed=4, bound_frac=1.0) for order in (nodes, shuffled)]
    assert runs[0].allocation_frac == runs[1].allocation_frac


@pytest.mark.parametrize("pods", [make_pods(600), make_pods(600, seed=2, without=("B",))], ids=["bound to models", "free"])
def test_rollout_allocates_more_than_fgd_and_fgd_more_than_random(pods: list) -> None:
    trace = PackingTrace(make_nodes(80), pods, 1.3)
    mean = {
        name: np.mean([trace.run(name, seed, bound_frac=1.0).allocation_frac for seed in range(42, 46)])
        for name in ("random", "fgd", "rollout")
    }
    assert mean["rollout"] > mean["fgd"] > mean["random"]


def test_an_unknown_policy_names_the_nearest() -> None:
    cluster = Cluster(make_nodes(4), [whole()])
    with pytest.raises(UsageError) as raised:
        open_policy("fdg", cluster, equal_mix(cluster))
    assert "fgd" in str(raised.value.next_step)
    with pytest.raises(UsageError, match="cannot be loaded"):
        open_policy("tests.compute.no_such_policy", cluster, equal_mix(cluster))


def make_policy(cluster: Cluster, mix: Mix, seed: int) -> object:
    class Last:
        def observe(self, item: int) -> None:
            pass

        def choose(self, item: int, allowed_N: object = None, bias_N: object = None) -> Choice | None:
            return Choice(node=len(cluster.nodes) - 1, device=-1)

    return Last()


def test_a_policy_of_ones_own_is_named_by_its_module() -> None:
    cluster = Cluster(make_nodes(4), [whole()])
    choice = open_policy(__name__, cluster, equal_mix(cluster)).choose(0)
    assert choice == Choice(node=3, device=-1)


def test_fragmentation_is_what_a_class_cannot_use() -> None:
    """Worked by hand: 400 free on one device of two, and one core."""
    cluster = Cluster(
        [node("a", 2, cpu_milli=3_000)], [share(600, cpu_milli=2_000), share(300), whole(2), whole(cpu_milli=2_000)]
    )
    cluster.place(0, 0, 0)
    typical = typical_classes(cluster, Mix(count_C=np.array([1.0, 1.0, 1.0, 1.0])))
    expected = (1400 + 0 + 1400 + 1400) / 4
    assert fragmentation(rows_of(cluster.free, np.array([0])), typical)[0] == pytest.approx(expected)


def test_typical_classes_are_the_popular_ones() -> None:
    cluster = Cluster([node("a", 8)], [share(300), share(600), whole()])
    typical = typical_classes(cluster, Mix(count_C=np.array([60.0, 36.0, 4.0])))
    assert sorted(typical.share.tolist()) == [300, 600]
    assert typical.frequency.sum() == pytest.approx(1)


def test_gpu_packing_prefers_devices_in_use() -> None:
    cluster = Cluster([node("a", 2), node("b", 2)], [share(500), whole()])
    cluster.place(1, 0, 1)
    policy = open_policy("gpu-packing", cluster, equal_mix(cluster))
    assert policy.choose(0) == Choice(node=1, device=1)
    assert policy.choose(1) == Choice(node=1, device=-1)


def test_best_fit_leaves_the_least() -> None:
    cluster = Cluster([node("big", 8), node("small", 1, cpu_milli=4_000)], [whole()])
    assert open_policy("best-fit", cluster, equal_mix(cluster)).choose(0) == Choice(node=1, device=-1)


def test_a_free_share_is_worth_what_still_fits_into_it() -> None:
    cluster = Cluster([node("a", 8)], [share(500), share(300)])
    values = device_values(cluster, Mix(count_C=np.array([1.0, 0.0])), np.random.default_rng(0))
    assert values[[0, 499, 500, 999, 1000]].tolist() == pytest.approx([0, 0, 500, 500, 1000])


def test_without_shares_only_a_free_device_has_a_value() -> None:
    values = device_values(*((c := Cluster([node("a", 8)], [whole()])), equal_mix(c)), np.random.default_rng(0))
    assert values[WHOLE] == WHOLE and not values[:WHOLE].any()


def test_waste_after_a_rollout_sees_the_cpu_run_out() -> None:
    """Four devices with 8 cores for requests of a device and 4 cores: two devices are left over."""
    cluster = Cluster([node("a", 4, cpu_milli=8_000), node("b", 4, cpu_milli=16_000)], [whole(cpu_milli=4_000)])
    waste = rollout_waste(cluster.free, cluster.requests, np.zeros((3, 64), np.int64), 4)
    assert waste.tolist() == [2 * WHOLE, 0]


def test_rollout_keeps_room_for_what_fits_nowhere_else() -> None:
    """One node has the model that half of the requests are bound to; the others do not go there while there is room."""
    nodes = [node("bound", 4, model="B"), *(node(f"free-{at}", 4) for at in range(1))]
    cluster = Cluster(nodes, [whole(), whole(models=("B",))])
    policy = open_policy("rollout", cluster, equal_mix(cluster))
    for _ in range(4):
        choice = policy.choose(0)
        assert choice is not None and choice.node == 1
        cluster.place(choice.node, 0, choice.device)


def test_a_mix_is_replaced_only_when_arrivals_refute_it() -> None:
    history = mix_of([0] * 500 + [1] * 500, 3)
    draws = random.Random(1).choices([0, 1], k=20 * FIRST_LOOK)
    watch = MixWatch(history)
    assert all(watch.observe(item) is None for item in draws)
    watch = MixWatch(history)
    (new,) = [mix for _ in range(FIRST_LOOK) if (mix := watch.observe(2)) is not None]
    assert new.frequency.argmax() == 2


def test_where_requests_leave_room_is_kept_for_the_fluctuation_of_large_ones() -> None:
    """A quarter of what arrives needs a whole node; after a turnover, a free node costs more to break up."""
    cluster = Cluster([node(f"n{at}", 4) for at in range(64)], [whole(), whole(4)])
    mix = Mix(count_C=np.array([12.0, 1.0]))
    scarcity = Scarcity(cluster, mix)
    (before,) = scarcity.prices().tolist()
    held = [cluster.place(at, 1) for at in range(64)]
    for taken in held:
        cluster.release(taken)
    assert cluster.taken_milli == cluster.released_milli == 256 * WHOLE
    (after,) = scarcity.prices().tolist()
    assert before == pytest.approx(0.25**3)
    assert after == pytest.approx(((64 + 2 * np.sqrt(64 * 4)) / 256) ** 3)
    with cluster.trial():
        cluster.place(0, 1)
    assert cluster.taken_milli == 256 * WHOLE
