"""`tight` takes what leaves least, and ranks in the order in which it chooses."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bedplate.compute.scheduler.placement import open_policy
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import mix_of
from tests.compute.traces import NEEDS, make_nodes

CLASSES = [need for _, need in NEEDS]


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_the_first_of_the_ranking_whatever_is_held(seed: int) -> None:
    draw = random.Random(seed)
    cluster = Cluster(make_nodes(20), CLASSES)
    policy = open_policy("tight", cluster, mix_of([0], len(CLASSES)))
    for _ in range(120):
        item = draw.randrange(len(CLASSES))
        allowed = np.array([draw.random() < 0.7 for _ in cluster.nodes]) if draw.random() < 0.5 else None
        bias = np.array([float(draw.randrange(3_000)) for _ in cluster.nodes]) if draw.random() < 0.3 else None
        choice, ranking = policy.choose(item, allowed, bias), policy.rank(item, 5, allowed, bias)
        if choice is None:
            assert not len(ranking.nodes)
            continue
        assert (choice.node, choice.device) == (ranking.nodes[0], ranking.devices[0])
        assert choice.cost == pytest.approx(ranking.costs[0]) and (np.diff(ranking.costs) >= 0).all()
        cluster.place(choice.node, item, choice.device)
    cluster.check_integrity()


def test_what_is_in_use_is_filled_first() -> None:
    cluster = Cluster(make_nodes(8), CLASSES)
    policy = open_policy("tight", cluster, mix_of([0], len(CLASSES)))
    cluster.place(4, 5, 3)  # 330 of a device of a node with 8
    choice = policy.choose(5)
    assert choice is not None and cluster.nodes[choice.node].num_devices == 2  # less is left there
    only = np.arange(8) == 4
    choice = policy.choose(5, only)
    assert choice is not None and choice.device == 3
