"""Bounds: how much is kept, and how much is computed in one decision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.placement import cost_table, open_policy
from bedplate.compute.scheduler.placement.arrays import Floats, States
from bedplate.compute.scheduler.placement.candidates import rows_of
from bedplate.compute.scheduler.placement.cheapest import cheapest_node
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.scheduler.placement.state_cache import StateCache


def distinct_nodes(count: int) -> list[Node]:
    """No two of them are in one state."""
    return [Node(name=f"n{at}", cpu_milli=10_000 + at, memory_mib=100, num_devices=2, model="A") for at in range(count)]


def needs(count: int) -> list[RequestClass]:
    return [RequestClass(cpu_milli=at, memory_mib=1, num_devices=1, share_milli=WHOLE) for at in range(count)]


@pytest.mark.parametrize("name", ["best-fit", "gpu-packing", "fgd", "rollout"])
def test_a_decision_computes_a_bounded_number_of_states_and_still_places_all_that_fits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_table, "MAX_STATES", 40)
    cluster = Cluster(distinct_nodes(200), needs(1))
    policy = open_policy(name, cluster, Mix(count_C=np.ones(1)))
    computed: list[int] = []
    table = vars(policy)["_table"]
    cost = table._cost

    def counted(item: int, nodes_M: np.ndarray, after: States) -> Floats:
        computed.append(len(set(nodes_M.tolist())))
        return np.asarray(cost(item, nodes_M, after))

    table._cost = counted
    for _ in range(400):
        choice = policy.choose(0)
        assert choice is not None
        cluster.place(choice.node, 0, choice.device)
    assert policy.choose(0) is None
    assert computed[0] == max(computed) == 40
    assert sum(computed) <= 600


def test_of_many_states_the_fullest_are_computed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_table, "MAX_STATES", 40)
    cluster = Cluster(distinct_nodes(200), needs(1))
    cluster.place(137, 0)
    choice = open_policy("best-fit", cluster, Mix(count_C=np.ones(1))).choose(0)
    assert choice is not None and choice.node == 137


def test_classes_that_were_not_met_for_long_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(distinct_nodes(100), needs(12))
    policy = open_policy("best-fit", cluster, Mix(count_C=np.ones(12)))
    table = vars(policy)["_table"]
    policy.choose(0)
    monkeypatch.setattr(cost_table, "MAX_BYTES", 3 * table._rows[0].num_bytes)
    for item in (1, 2, 0, 3, 4, 0, 5):
        assert policy.choose(item) is not None
    assert list(table._rows) == [4, 0, 5]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans())
def test_the_cheapest_node_is_the_one_that_sorting_puts_first(
    seed: int, has_prices: bool, has_bias: bool, by_digest: bool
) -> None:
    generator = np.random.default_rng(seed)
    cluster = Cluster(distinct_nodes(30), needs(1))
    for node in generator.permutation(30)[:15].tolist():
        cluster.place(node, 0)
    cost_N = generator.integers(0, 4, 30).astype(float)
    cost_N[generator.random(30) < 0.3] = np.inf
    may_use_N = generator.random(30) < 0.8
    detail_NJ = generator.integers(0, 3, (30, 2)).astype(np.float32)
    price_J = np.array([0.5, 1.0])[: 2 * has_prices]
    bias_N = generator.integers(-2, 3, 30).astype(float) if has_bias else np.zeros(0)
    node, cost = cheapest_node(
        cost_N, detail_NJ[:, : len(price_J)], may_use_N, bias_N, price_J, cluster.free, cluster.digest_N, by_digest
    )
    total_N = cost_N + detail_NJ[:, : len(price_J)] @ price_J + (bias_N if has_bias else 0)
    possible = [at for at in range(30) if may_use_N[at] and total_N[at] < np.inf]
    free, digest = cluster.free, cluster.digest_N

    def key(at: int) -> tuple[float, ...]:
        fullness = () if by_digest else (int(free.shares[at].sum()), int(free.cpu[at]))
        return (float(total_N[at]), *fullness, int(digest[at]))

    expected = min(possible, key=key, default=-1)
    assert node == expected
    assert node < 0 or cost == pytest.approx(total_N[node])


def test_states_that_occur_again_are_not_computed_again_wherever_their_devices_are() -> None:
    calls: list[int] = []

    def compute(states: States) -> Floats:
        calls.append(len(states.cpu))
        return np.column_stack([states.shares.sum(axis=1), states.cpu]).astype(float)

    half = RequestClass(cpu_milli=0, memory_mib=0, num_devices=1, share_milli=300)
    cluster = Cluster([Node(name=str(at), cpu_milli=7, memory_mib=7, num_devices=2, model="A") for at in range(3)], [half])
    cluster.place(0, 0, 0)
    cluster.place(1, 0, 1)
    cache = StateCache(compute, 2)
    first = cache.values(rows_of(cluster.free, np.array([0, 2])))
    assert first.tolist() == [[1700, 7], [2000, 7]]
    assert cache.values(cluster.free).tolist() == [[1700, 7], [1700, 7], [2000, 7]]
    assert calls == [2]
    cluster.place(2, 0, 0)
    cluster.place(2, 0, 0)
    assert cache.values(cluster.free)[2].tolist() == [1400, 7]
    assert calls == [2, 1]
