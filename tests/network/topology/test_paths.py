"""Paths: the shortest ones of the wiring, without those over dead links."""

from __future__ import annotations

import pytest

from bedplate.core.collectives import Flow
from bedplate.core.errors import UsageError
from bedplate.core.topology import Topology
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.leaf_spine import leaf_spine, links_of
from bedplate.network.topology.paths import Routes, find_routes


def flow(source: str, target: str) -> Flow:
    return Flow(source=source, target=target, size_bytes=1.0)


def names(routes: Routes, index: int = 0, *, live: bool = True) -> list[list[str]]:
    links = routes.fabric.topology.links
    rows = zip(routes.hops_FPH[index], routes.live_FP[index], strict=True)
    return [[links[hop].name for hop in path if hop >= 0] for path, is_live in rows if is_live == live and path[0] >= 0]


def test_a_flow_to_another_leaf_has_one_path_a_spine() -> None:
    routes = find_routes(Fabric.of(leaf_spine(2, 2)), [flow("host0", "host3")])
    assert names(routes) == [["host0-leaf0", f"leaf0-spine{s}", f"spine{s}-leaf1", "leaf1-host3"] for s in (0, 1)]


def test_a_flow_within_a_leaf_does_not_touch_the_fabric() -> None:
    routes = find_routes(Fabric.of(leaf_spine(2, 2)), [flow("host0", "host1"), flow("host0", "host3")])
    assert names(routes) == [["host0-leaf0", "leaf0-host1"]]


def test_paths_over_a_dead_link_are_withdrawn_and_no_detour_opens() -> None:
    fabric = Fabric.of(fail_links(leaf_spine(3, 2), ["leaf0-spine1"]))
    routes = find_routes(fabric, [flow("host0", "host3"), flow("host3", "host0"), flow("host3", "host5")])
    assert [len(names(routes, index)) for index in range(3)] == [1, 1, 2]
    assert {len(path) for index in range(3) for path in names(routes, index)} == {4}


def test_a_flow_whose_paths_are_all_dead_keeps_them_as_dead() -> None:
    fabric = Fabric.of(fail_links(leaf_spine(3, 2), ["leaf0-spine1", "leaf1-spine0"]))
    routes = find_routes(fabric, [flow("host0", "host2"), flow("host0", "host4")])
    assert routes.is_routable.tolist() == [False, True]
    assert len(names(routes, 0, live=False)) == 2


def test_a_host_on_two_leaves_may_leave_through_either() -> None:
    cables = [("a", "l0"), ("a", "l1"), ("b", "l2"), ("l0", "s"), ("l1", "s"), ("l2", "s")]
    topology = Topology(
        name="dual", hosts=("a", "b"), switches=("l0", "l1", "l2", "s"), links=links_of([(*ends, 1.0, True) for ends in cables])
    )
    assert names(find_routes(Fabric.of(topology), [flow("a", "b")])) == [
        ["a-l0", "l0-s", "s-l2", "l2-b"],
        ["a-l1", "l1-s", "s-l2", "l2-b"],
    ]


def test_hosts_do_not_carry_the_traffic_of_others() -> None:
    cables = [("a", "l0", 1.0, True), ("b", "l0", 1.0, True), ("b", "l1", 1.0, True), ("c", "l1", 1.0, True)]
    fabric = Fabric.of(Topology(name="bridge", hosts=("a", "b", "c"), switches=("l0", "l1"), links=links_of(cables)))
    with pytest.raises(UsageError, match="no path joins two hosts"):
        find_routes(fabric, [flow("a", "c")])


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        (("host0", "host99"), "does not exist"),
        (("host0", "leaf1"), "does not exist"),
        (("host1", "host1"), "from a host to itself"),
    ],
)
def test_a_flow_to_nowhere_is_named(ends: tuple[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_routes(Fabric.of(leaf_spine(2, 2)), [flow(*ends)])


def test_no_traffic_is_refused() -> None:
    with pytest.raises(UsageError, match="no traffic"):
        find_routes(Fabric.of(leaf_spine(2, 2)), [])
