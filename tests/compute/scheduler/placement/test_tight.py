"""`tight` takes what leaves least: its compiled loop beside the same rule in arrays."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bedplate.compute.scheduler.placement import open_policy
from bedplate.compute.scheduler.placement.arrays import Bools, Floats
from bedplate.compute.scheduler.placement.base import Choice
from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.mix import mix_of
from bedplate.compute.scheduler.placement.request import WHOLE
from tests.compute.traces import NEEDS, make_nodes

CLASSES = [need for _, need in NEEDS]


def tightest(cluster: Cluster, item: int, allowed_N: Bools | None, bias_N: Floats | None) -> Choice | None:
    """Of all candidates in arrays the one that leaves the least: devices, then cores, then the digest of the name."""
    nodes = np.flatnonzero(cluster.usable_N if allowed_N is None else cluster.usable_N & allowed_N)
    owner_M, device_M, after = find_candidates(cluster.free, cluster.requests, item, nodes)
    if not len(owner_M):
        return None
    node_M, cost_M = nodes[owner_M], after.shares.sum(axis=1, dtype=np.float64)
    if 0 < cluster.requests.share[item] < WHOLE:
        cost_M += after.shares[np.arange(len(node_M)), device_M] / WHOLE
    if bias_N is not None:
        cost_M += bias_N[node_M]
    at = np.lexsort((cluster.digest_N[node_M], cluster.free.cpu[node_M], cost_M))[0]
    return Choice(node=int(node_M[at]), device=int(device_M[at]), cost=float(cost_M[at]))


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_that_of_the_rule_whatever_is_held(seed: int) -> None:
    draw = random.Random(seed)
    cluster = Cluster(make_nodes(20), CLASSES)
    policy = open_policy("tight", cluster, mix_of([0], len(CLASSES)))
    for _ in range(120):
        item = draw.randrange(len(CLASSES))
        allowed = np.array([draw.random() < 0.7 for _ in cluster.nodes]) if draw.random() < 0.5 else None
        bias = np.array([float(draw.randrange(3_000)) for _ in cluster.nodes]) if draw.random() < 0.3 else None
        choice, expected = policy.choose(item, allowed, bias), tightest(cluster, item, allowed, bias)
        assert choice == expected
        if choice is None or expected is None:
            continue
        assert choice.cost == pytest.approx(expected.cost)
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
