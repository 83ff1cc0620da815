"""Filters and scores beside the policy: what each says, and that they compose."""

import numpy as np
import pytest

from bedplate.compute.scheduler.placement import POLICIES, open_policy
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import Mix
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.scheduler.placement.wishes import FILTERS, SCORES, wishes_of
from bedplate.compute.scheduler.placement.wishes.facts import Facts
from bedplate.core.errors import UsageError

TWO = RequestClass(cpu_milli=1, memory_mib=1, num_devices=2, share_milli=WHOLE)


def cluster_of(*models: str) -> Cluster:
    return Cluster(
        [
            Node(name=f"n{at}", cpu_milli=9, memory_mib=9, num_devices=2, model=model, path=(f"leaf{at // 2}",))
            for at, model in enumerate(models)
        ],
        [TWO],
    )


def bias(facts: Facts, score: str) -> list[float]:
    return wishes_of(facts, (), {score: 1.0}).bias_N.tolist()


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_without_facts_allows_everything(name: str) -> None:
    assert wishes_of(Facts(cluster=cluster_of("A", "B"), item=0), [name]).allowed_N.all()


@pytest.mark.parametrize("name", SCORES)
def test_a_score_without_facts_is_zero(name: str) -> None:
    assert not any(bias(Facts(cluster=cluster_of("A", "B"), item=0), name))


def test_health_costs_what_is_at_risk_and_below_the_least_a_node_is_out() -> None:
    facts = Facts(cluster=cluster_of("A", "A", "A"), item=0, health_N=np.array([1.0, 0.75, 0.25]))
    wishes = wishes_of(facts, ["healthy"], {"health": 1.0})
    assert wishes.allowed_N.tolist() == wishes.by_filter["healthy"].tolist() == [True, True, False]
    assert wishes.bias_N.tolist() == [0, 0.25 * 2 * WHOLE, 0.75 * 2 * WHOLE]


def test_a_slower_device_costs_the_time_for_which_it_is_held_longer() -> None:
    facts = Facts(cluster=cluster_of("A", "B", "C"), item=0, speed={"A": 1.0, "B": 0.5}, least_speed=0.6)
    assert bias(facts, "speed") == [0, 2 * WHOLE, 0]
    assert wishes_of(facts, ["fast-enough"]).allowed_N.tolist() == [True, False, True]


def test_of_a_node_with_several_models_the_fastest_accepted_one_counts() -> None:
    mixed = Node(name="m", cpu_milli=9, memory_mib=9, num_devices=2, model="A", device_models=("A", "B"))
    cluster = Cluster([mixed])
    items = [
        cluster.class_of(RequestClass(cpu_milli=1, memory_mib=1, num_devices=1, share_milli=WHOLE, models=models))
        for models in ((), ("B",))
    ]
    speeds = [Facts(cluster=cluster, item=item, speed={"B": 0.25}).speed_of_nodes().tolist() for item in items]
    assert speeds == [[1.0], [0.25]]


def test_spread_avoids_the_node_more_than_the_leaf_and_together_is_the_other_way_round() -> None:
    facts = Facts(cluster=cluster_of("A", "A", "A", "A"), item=0, siblings_N=np.array([1, 0, 0, 0]))
    apart, together = bias(facts, "spread"), bias(facts, "together")
    assert apart[0] > apart[1] > apart[2] == apart[3] == 0
    assert together[0] < together[1] < together[2] == together[3] == 0


@pytest.mark.parametrize("name", POLICIES)
def test_filters_and_scores_compose_with_every_policy(name: str) -> None:
    cluster = cluster_of("A", "A", "B", "A")
    facts = Facts(
        cluster=cluster,
        item=0,
        health_N=np.array([0.1, 0.9, 1.0, 1.0]),
        speed={"B": 0.5},
        reserved_N=np.array([False, False, False, True]),
    )
    wishes = wishes_of(facts)
    assert wishes.allowed_N.tolist() == [False, True, True, False]
    choice = open_policy(name, cluster, Mix(count_C=np.zeros(0))).choose(0, wishes.allowed_N, wishes.bias_N)
    assert choice is not None and choice.node == 1


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    facts = Facts(cluster=cluster_of("A"), item=0)
    with pytest.raises(UsageError) as raised:
        wishes_of(facts, ["helthy"])
    assert "healthy" in str(raised.value.next_step)
    with pytest.raises(UsageError, match="cannot be loaded"):
        wishes_of(facts, (), {"no.such.module": 1.0})


def allowed(facts: Facts) -> np.ndarray:
    return np.arange(facts.num_nodes) == 0


def test_a_filter_of_ones_own_is_named_by_its_module() -> None:
    assert wishes_of(Facts(cluster=cluster_of("A", "A"), item=0), [__name__]).allowed_N.tolist() == [True, False]
