"""Balancing: known figures of hashing, plans that reach their bound and are never worse than hashing."""

from __future__ import annotations

from collections import Counter
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UsageError
from bedplate.core.topology import Topology
from bedplate.network.balance import BALANCERS, open_balancer
from bedplate.network.balance.base import Streams, streams_on_paths, worst_and_mean_frac
from bedplate.network.balance.bound import best_worst_share, cut_bound
from bedplate.network.balance.edge_colouring import colour_edges, most_edges_at_one_end
from bedplate.network.balance.shares import largest_floor
from bedplate.network.collectives.traffic import open_traffic
from bedplate.network.simulate.flow_level import LoadReport, simulate_streams
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.leaf_spine import leaf_spine, links_of
from bedplate.network.topology.paths import Routes, find_routes
from tests.network.conftest import RoutesOf, invariant


def balanced(routes: Routes, name: str, seed: int = 0, qps: int | None = None) -> LoadReport:
    return simulate_streams(routes, open_balancer(name)(routes, seed=seed, num_queue_pairs=qps))


@invariant
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40))
def test_an_edge_colouring_uses_at_most_max_degree_colours(edges: list[tuple[int, int]]) -> None:
    lefts, rights = [left for left, _ in edges], [right for _, right in edges]
    degree = most_edges_at_one_end(lefts, rights)
    colours = colour_edges(lefts, rights, degree)
    assert all(0 <= colour < degree for colour in colours)
    for ends in (lefts, rights):
        assert max(Counter(zip(ends, colours, strict=True)).values(), default=1) == 1


def test_too_few_colours_are_refused() -> None:
    with pytest.raises(UsageError, match="too few colours"):
        colour_edges([0, 0], [0, 1], 1)


@pytest.mark.parametrize(("size", "worst_frac"), [("8x8", 0.27), ("16x16", 0.21)])
def test_hashing_a_ring_shift_gives_65_percent_on_average(routes_of: RoutesOf, size: str, worst_frac: float) -> None:
    routes = routes_of(f"leaf-spine:{size}", "ring-shift")
    loads = [balanced(routes, "ecmp", seed) for seed in range(100)]
    assert mean(load.mean_flow_frac for load in loads) == pytest.approx(0.65, abs=0.02)
    assert mean(load.worst_flow_frac for load in loads) == pytest.approx(worst_frac, abs=0.03)


def test_the_mean_of_hashing_is_that_of_balls_in_bins(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:8x8", "ring-shift")
    measured = mean(balanced(routes, "ecmp", seed).mean_flow_frac for seed in range(200))
    assert measured == pytest.approx(1 - (1 - 1 / 8) ** 8, abs=0.01)


def test_more_queue_pairs_smooth_the_hash(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:8x8", "ring-shift")
    worst = [mean(balanced(routes, "ecmp", seed, qps).worst_flow_frac for seed in range(20)) for qps in (1, 4, 16)]
    assert worst == sorted(worst)
    assert worst[2] > 2 * worst[0]


def test_a_seed_decides_the_hash(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:8x8", "ring-shift")
    paths = [open_balancer("ecmp")(routes, seed=seed, num_queue_pairs=2).hops_SH for seed in (1, 1, 2)]
    assert (paths[0] == paths[1]).all()
    assert (paths[0] != paths[2]).any()


@pytest.mark.parametrize("size", ["2x2", "8x8", "16x16"])
@pytest.mark.parametrize("traffic", ["ring-shift", "permutation:1", "permutation:2", "permutation:3"])
def test_one_planned_path_a_flow_fills_every_nic(routes_of: RoutesOf, size: str, traffic: str) -> None:
    routes = routes_of(f"leaf-spine:{size}", traffic)
    load = balanced(routes, "planned", qps=1)
    assert load.worst_flow_frac == pytest.approx(1.0)
    assert load.most_queue_pairs == 1
    assert best_worst_share(routes) == pytest.approx(1.0)


def test_each_planned_flow_has_links_of_its_own(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:8x8", "permutation:5")
    hops = open_balancer("planned")(routes, seed=0, num_queue_pairs=1).hops_SH
    assert Counter(hops[hops >= 0].tolist()).most_common(1)[0][1] == 1


def test_a_ring_shift_fills_every_link_when_it_is_planned(routes_of: RoutesOf) -> None:
    load = balanced(routes_of("leaf-spine:8x8", "ring-shift"), "planned")
    assert load.mean_link_frac == pytest.approx(1.0)


def test_after_a_lost_uplink_only_split_flows_reach_the_bound(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:16x16", "ring-shift", ["leaf0-spine1"])
    assert best_worst_share(routes) == pytest.approx(15 / 16)
    assert balanced(routes, "planned", qps=1).worst_flow_frac == pytest.approx(0.5)
    for qps in (2, 4, None):
        load = balanced(routes, "planned", qps=qps)
        assert load.worst_flow_frac >= 15 / 16 - 1e-3
        assert load.most_queue_pairs == 2
        assert load.mean_link_frac >= 0.9


@pytest.mark.parametrize("seed", range(1, 4))
def test_four_queue_pairs_come_within_2_percent_of_the_bound(routes_of: RoutesOf, seed: int) -> None:
    routes = routes_of("leaf-spine:8x8", f"permutation:{seed}", ["leaf0-spine1", "leaf3-spine0"])
    load = balanced(routes, "planned", qps=4)
    assert load.worst_flow_frac >= best_worst_share(routes) - 0.02
    assert load.most_queue_pairs <= 4


@st.composite
def troubled_routes(draw: st.DrawFn) -> Routes:
    """Small leaf-spines, any oversubscription, some cables down, permutations."""
    leaves, spines = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    topology = leaf_spine(leaves, spines, hosts_per_leaf=draw(st.integers(2, 5)))
    cables = [link.name for link in topology.links if link.source.startswith("leaf") and link.target.startswith("spine")]
    topology = fail_links(topology, draw(st.lists(st.sampled_from(cables), max_size=4, unique=True)))
    return find_routes(Fabric.of(topology), open_traffic(f"permutation:{draw(st.integers(0, 99))}", topology))


@invariant
@given(troubled_routes(), st.integers(0, 5), st.sampled_from([None, 1, 2, 4]))
def test_a_plan_is_between_hashing_and_the_bound(routes: Routes, seed: int, qps: int | None) -> None:
    merits = {
        name: worst_and_mean_frac(routes, open_balancer(name)(routes, seed=seed, num_queue_pairs=qps)) for name in BALANCERS
    }
    bound_frac = best_worst_share(routes)
    assert merits["planned"][0] >= merits["ecmp"][0] - 1e-8
    assert all(worst_frac <= bound_frac + 1e-8 for worst_frac, _ in merits.values())


@invariant
@given(troubled_routes())
def test_a_plan_that_may_split_at_will_reaches_the_bound(routes: Routes) -> None:
    worst_frac, _ = worst_and_mean_frac(routes, open_balancer("planned")(routes, seed=0, num_queue_pairs=None))
    assert worst_frac == pytest.approx(best_worst_share(routes), rel=2e-3)


@invariant
@given(troubled_routes())
def test_the_bound_equals_the_linear_program_and_respects_cuts(routes: Routes) -> None:
    assert best_worst_share(routes) == pytest.approx(largest_floor(routes, routes.live_FP), abs=1e-7)
    assert largest_floor(routes, routes.live_FP) <= cut_bound(routes) + 1e-7


@invariant
@given(troubled_routes(), st.sampled_from(sorted(BALANCERS)), st.integers(1, 4))
def test_every_balancing_puts_all_of_each_flow_on_live_paths(routes: Routes, name: str, qps: int) -> None:
    streams = open_balancer(name)(routes, seed=1, num_queue_pairs=qps)
    alive = routes.is_routable[streams.flow_S]
    used = streams.hops_SH[alive]
    assert (routes.fabric.capacity_bytes_per_s_E[used[used >= 0]] > 0).all()
    assert sorted(set(streams.flow_S.tolist())) == list(range(len(routes.flows)))
    assert (streams.flow_rates(routes)[~routes.is_routable] == 0).all()
    for flow, row, usage in zip(streams.flow_S, streams.hops_SH, streams.usage_SH, strict=True):
        at_source = routes.fabric.source_E[row] == routes.fabric.nodes[routes.flows[flow].source]
        assert usage[at_source & (row >= 0)].sum() == pytest.approx(1.0)


def test_spraying_reaches_the_bound_with_and_without_a_lost_uplink(
    routes_of: RoutesOf,
) -> None:
    assert balanced(routes_of("leaf-spine:8x8", "permutation:3"), "spray").worst_flow_frac == pytest.approx(1.0)
    assert balanced(routes_of("leaf-spine:8x8", "ring-shift", ["leaf0-spine1"]), "spray").worst_flow_frac == pytest.approx(
        7 / 8
    )


def uneven_routes() -> Routes:
    """Two leaves, two spines, one of which has links at a third of the rate."""
    cables = [(f"h{i}", f"leaf{i // 2}", 3.0, True) for i in range(4)]
    cables += [(f"leaf{leaf}", f"spine{spine}", (3.0, 1.0)[spine], True) for leaf in (0, 1) for spine in (0, 1)]
    topology = Topology(
        name="uneven",
        hosts=("h0", "h1", "h2", "h3"),
        switches=("leaf0", "leaf1", "spine0", "spine1"),
        links=links_of(cables),
    )
    return find_routes(Fabric.of(topology), open_traffic("ring-shift", topology))


def test_spraying_follows_capacity() -> None:
    load = balanced(uneven_routes(), "spray")
    assert load.flow_frac_F == pytest.approx(np.full(4, 2 / 3))
    assert load.fabric_link_frac == pytest.approx(np.ones(8))


def test_a_plan_on_unequal_links_splits_to_the_bound() -> None:
    routes = uneven_routes()
    assert best_worst_share(routes) == pytest.approx(2 / 3)
    assert balanced(routes, "planned").worst_flow_frac == pytest.approx(2 / 3, rel=2e-3)
    assert balanced(routes, "planned", qps=1).worst_flow_frac == pytest.approx(0.5)


def test_several_flows_of_one_host_share_its_nic() -> None:
    topology = leaf_spine(2, 2)
    flows = [*open_traffic("ring-shift", topology), *open_traffic("permutation:1", topology)]
    routes = find_routes(Fabric.of(topology), flows)
    assert best_worst_share(routes) == pytest.approx(0.5)


def test_link_loads_are_those_of_the_flows_that_cross(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:2x2", "ring-shift")
    everything_over_spine0 = streams_on_paths(routes, np.arange(4), np.zeros(4, dtype=np.int64), np.ones(4))
    load = simulate_streams(routes, everything_over_spine0)
    assert load.flow_frac_F.tolist() == [0.5] * 4
    assert (load.mean_link_frac, load.max_link_frac) == (0.5, 1.0)
    assert load.transfer_s() == pytest.approx(1 / 25e9)


def test_a_transfer_over_a_dead_path_never_ends(routes_of: RoutesOf) -> None:
    routes = routes_of("leaf-spine:2x2", "ring-shift", ["leaf0-spine0", "leaf1-spine1"])
    assert balanced(routes, "ecmp").transfer_s() == float("inf")


def test_the_flow_with_most_queue_pairs_is_counted() -> None:
    shape = (3, 1)
    streams = Streams(
        flow_S=np.array([0, 1, 1]), hops_SH=np.zeros(shape, dtype=np.int64), usage_SH=np.ones(shape), weight_S=np.ones(3)
    )
    assert streams.most_queue_pairs == 2


def test_a_misspelt_balancing_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown balancing 'ecpm'") as caught:
        open_balancer("ecpm")
    assert caught.value.next_step == "did you mean 'ecmp'?"
