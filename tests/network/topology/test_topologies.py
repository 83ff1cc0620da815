"""Fabrics from generators and files; wiring that cannot be meant is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError
from bedplate.core.topology import Link, Topology
from bedplate.network.topology.fabric import Fabric
from bedplate.network.topology.failures import fail_links
from bedplate.network.topology.leaf_spine import NIC_RATE_BYTES_PER_S, leaf_spine, links_of
from bedplate.network.topology.specification import open_topology
from bedplate.network.topology.wiring import check_wiring

GOOD = """\
name: pair
rate: 100Gb/s
hosts: [a, b]
switches: [left, right]
links:
  - {ends: [a, left]}
  - {ends: [b, right]}
  - {ends: [left, right], rate: 25GB/s, down: true}
"""


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "fabric.yaml"
    file.write_text(text)
    return str(file)


def test_a_leaf_spine_is_a_full_mesh_of_leaves_and_spines() -> None:
    topology = open_topology("leaf-spine:2x3")
    assert (len(topology.hosts), len(topology.switches), len(topology.links)) == (6, 5, 2 * (6 + 6))
    names = {link.name for link in topology.links}
    assert {"leaf1-spine2", "spine2-leaf1", "host5-leaf1", "leaf0-host0"} <= names
    assert {link.capacity_bytes_per_s for link in topology.links} == {NIC_RATE_BYTES_PER_S} == {50e9}
    check_wiring(topology)


def test_link_numbers_are_their_places() -> None:
    topology = leaf_spine(3, 2, hosts_per_leaf=4)
    assert [link.id for link in topology.links] == list(range(len(topology.links)))
    assert len(topology.hosts) == 12


@pytest.mark.parametrize("size", ["", "8", "8x", "0x4", "axb", "8x8x8", "4x100000"])
def test_a_leaf_spine_without_two_sides_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match="leaves x spines"):
        open_topology(f"leaf-spine:{size}")


def test_a_misspelt_fabric_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown fabric 'leafspine'") as caught:
        open_topology("leafspine:4x4")
    assert caught.value.next_step == "did you mean 'leaf-spine:4x4'?"


def test_a_clos3_is_refused_and_what_is_supported_is_named() -> None:
    with pytest.raises(UsageError, match="three-tier") as caught:
        open_topology("clos3:1024")
    assert "leaf-spine:LxS" in str(caught.value.expected)


def test_a_failed_cable_is_down_in_both_directions_by_either_name() -> None:
    for name in ("leaf0-spine1", "spine1-leaf0"):
        topology = fail_links(leaf_spine(2, 2), [name])
        assert {link.name for link in topology.links if not link.up} == {"leaf0-spine1", "spine1-leaf0"}


def test_a_cable_that_does_not_exist_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFoundError) as caught:
        fail_links(leaf_spine(2, 2), ["leaf0-spine"])
    assert caught.value.next_step is not None
    assert "leaf0-spine" in caught.value.next_step


def test_the_array_form_has_no_capacity_where_a_link_is_down() -> None:
    fabric = Fabric.of(fail_links(leaf_spine(2, 2), ["leaf0-spine1"]))
    down = fabric.capacity_bytes_per_s_E == 0
    assert down.sum() == 2
    assert (fabric.wired_bytes_per_s_E > 0).all()
    assert fabric.joins_switches_E.sum() == 8
    names = np.array([link.name for link in fabric.topology.links])
    assert set(names[down]) == {"leaf0-spine1", "spine1-leaf0"}


def test_a_file_gives_names_rates_and_links_that_are_down(tmp_path: Path) -> None:
    topology = open_topology(written(tmp_path, GOOD))
    assert (topology.name, topology.hosts, topology.switches) == ("pair", ("a", "b"), ("left", "right"))
    rates = {link.name: (link.capacity_bytes_per_s, link.up) for link in topology.links}
    assert rates["a-left"] == (12.5e9, True)
    assert rates["right-left"] == (25e9, False)


def test_a_json_file_reads_as_the_yaml_one(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "fabric.json"
    file.write_text(json.dumps(yaml.safe_load(GOOD), indent=2))
    assert open_topology(str(file)) == open_topology(written(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("[a, b]", "[a, b, a]", 3, "two nodes have the same name"),
        ("[left, right]\n", "[left, right, a]\n", 4, "two nodes have the same name"),
        ("{ends: [b, right]}", "{ends: [b, rihgt]}", 7, "does not exist"),
        ("rate: 25GB/s", "rate: -25GB/s", 8, "not negative"),
        ("rate: 25GB/s", "rate: 0", 8, "out of range"),
        ("rate: 25GB/s", "rate: 25GB", 8, "not a unit"),
        ("{ends: [a, left]}", "{ends: [a]}", 6, "two different nodes"),
        ("{ends: [a, left]}", "{ends: [a, a]}", 6, "two different nodes"),
        ("{ends: [a, left]}", "{endss: [a, left]}", 6, "unknown key 'endss'"),
        ("switches: [left", "hosts: [left", 4, "'hosts' is given twice"),
        ("{ends: [a, left]}", "{<<: {ends: [a, left]}}", 6, "merge keys"),
        ("[a, b]", "[a, 0100]", 3, "must not begin with 0"),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_topology(written(tmp_path, GOOD.replace(old, new)))
    assert caught.value.where == f"{tmp_path / 'fabric.yaml'}:{line}"


def test_a_misspelt_end_is_answered_with_the_nearest_node(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_topology(written(tmp_path, GOOD.replace("[b, right]", "[b, rihgt]")))
    assert caught.value.next_step == "did you mean 'right'?"


def test_a_file_cut_short_is_named_with_the_line_where_it_breaks(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"fabric.yaml:\d+: not YAML.*cut short"):
        open_topology(written(tmp_path, GOOD[: GOOD.index("left, right], rate")]))


@pytest.mark.parametrize("text", ["", "[1, 2]", "hosts: [a]"])
def test_a_file_that_is_no_fabric_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        open_topology(written(tmp_path, text))


def test_a_missing_file_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no such topology file"):
        open_topology("nowhere.yaml")


def test_a_host_that_no_path_reaches_is_named() -> None:
    topology = Topology(
        name="t", hosts=("a", "b", "c"), switches=("s",), links=links_of([("a", "s", 1.0, True), ("b", "s", 1.0, True)])
    )
    with pytest.raises(UsageError, match="1 of 3 hosts cannot be reached") as caught:
        check_wiring(topology)
    assert caught.value.seen == "c"


def test_parallel_cables_are_refused() -> None:
    cables = [("a", "s", 1.0, True), ("b", "s", 1.0, True)]
    with pytest.raises(UsageError, match="join the same nodes"):
        check_wiring(Topology(name="t", hosts=("a", "b"), switches=("s",), links=links_of([*cables, cables[0]])))


@pytest.mark.parametrize("capacity", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_capacity_that_is_not_above_0_is_refused(capacity: float) -> None:
    link = Link(id=0, name="a-b", source="a", target="b", capacity_bytes_per_s=capacity)
    with pytest.raises(UsageError, match="capacity of link 'a-b'"):
        check_wiring(Topology(name="t", hosts=("a", "b"), switches=(), links=(link,)))
