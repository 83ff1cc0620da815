"""Collectives as flows: sizes in closed form, patterns, placement, job files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.collectives import Collective, CollectiveKind
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError
from bedplate.network.collectives.flows import flows_of
from bedplate.network.collectives.job import read_job
from bedplate.network.collectives.placement import RankOrder, hosts_by_leaf, place_ranks
from bedplate.network.collectives.scale import widen
from bedplate.network.collectives.traffic import open_traffic, permutation, ring_shift
from bedplate.network.topology.leaf_spine import leaf_spine
from tests.network.conftest import invariant

MESSAGE_BYTES = 1_000_000


def collective(kind: CollectiveKind, size: int) -> Collective:
    return Collective(kind=kind, group=tuple(range(size)), message_bytes=MESSAGE_BYTES)


def hosts(count: int) -> tuple[str, ...]:
    return tuple(f"h{index}" for index in range(count))


@invariant
@given(st.sampled_from(CollectiveKind), st.integers(2, 12))
def test_the_bytes_of_all_flows_are_those_of_the_closed_form(kind: CollectiveKind, n: int) -> None:
    total_bytes = {
        CollectiveKind.ALL_REDUCE: 2 * (n - 1) * MESSAGE_BYTES,
        CollectiveKind.ALL_GATHER: (n - 1) * MESSAGE_BYTES,
        CollectiveKind.REDUCE_SCATTER: (n - 1) * MESSAGE_BYTES,
        CollectiveKind.BROADCAST: (n - 1) * MESSAGE_BYTES,
        CollectiveKind.ALL_TO_ALL: (n - 1) * MESSAGE_BYTES,
    }
    flows = flows_of(collective(kind, n), hosts(n))
    assert sum(flow.size_bytes for flow in flows) == pytest.approx(total_bytes[kind])


def test_bytes_of_a_ring_all_reduce_match_the_closed_form() -> None:
    flows = flows_of(collective(CollectiveKind.ALL_REDUCE, 4), hosts(4))
    assert [(flow.source, flow.target) for flow in flows] == [("h0", "h1"), ("h1", "h2"), ("h2", "h3"), ("h3", "h0")]
    assert {flow.size_bytes for flow in flows} == {1.5 * MESSAGE_BYTES}


def test_an_all_to_all_joins_every_ordered_pair() -> None:
    flows = flows_of(collective(CollectiveKind.ALL_TO_ALL, 5), hosts(5))
    assert len({(flow.source, flow.target) for flow in flows}) == 20


def test_a_broadcast_is_a_chain_from_the_first_rank() -> None:
    flows = flows_of(collective(CollectiveKind.BROADCAST, 3), hosts(3))
    assert [(flow.source, flow.target) for flow in flows] == [("h0", "h1"), ("h1", "h2")]


def test_the_order_of_the_group_is_the_order_of_the_ring() -> None:
    ring = Collective(kind=CollectiveKind.ALL_GATHER, group=(2, 0, 1), message_bytes=9)
    assert [flow.source for flow in flows_of(ring, hosts(3))] == ["h2", "h0", "h1"]


def test_ranks_on_one_host_and_groups_of_one_need_no_network() -> None:
    assert flows_of(collective(CollectiveKind.ALL_REDUCE, 2), ("h0", "h0")) == ()
    assert flows_of(collective(CollectiveKind.ALL_REDUCE, 1), hosts(1)) == ()


@pytest.mark.parametrize(("group", "says"), [((0, 0), "one rank twice"), ((0, 7), "have no host")])
def test_a_group_that_cannot_be_meant_is_refused(group: tuple[int, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        flows_of(Collective(kind=CollectiveKind.ALL_REDUCE, group=group, message_bytes=1), hosts(2))


def test_ring_shift_sends_each_host_to_its_peer_on_the_next_leaf() -> None:
    flows = ring_shift(leaf_spine(3, 2))
    assert [(flow.source, flow.target) for flow in flows] == [(f"host{i}", f"host{(i + 2) % 6}") for i in range(6)]


def test_ring_shift_needs_leaves_of_one_size() -> None:
    with pytest.raises(UsageError, match="equally many hosts"):
        ring_shift(leaf_spine(1, 4))


@invariant
@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 1000))
def test_a_permutation_has_one_flow_from_and_to_each_host(leaves: int, spines: int, seed: int) -> None:
    topology = leaf_spine(leaves, spines)
    flows = permutation(topology, seed)
    assert [flow.source for flow in flows] == list(topology.hosts)
    assert sorted(flow.target for flow in flows) == sorted(topology.hosts)
    assert all(flow.source != flow.target for flow in flows)
    assert flows == permutation(topology, seed)


def test_ranks_are_dealt_over_leaves_or_packed_leaf_after_leaf() -> None:
    topology = leaf_spine(3, 2)
    assert hosts_by_leaf(topology) == (("host0", "host1"), ("host2", "host3"), ("host4", "host5"))
    assert place_ranks(topology, 4, RankOrder.SPREAD) == ("host0", "host2", "host4", "host1")
    assert place_ranks(topology, 4, RankOrder.PACKED) == ("host0", "host1", "host2", "host3")
    with pytest.raises(UsageError, match="more ranks than the fabric has hosts"):
        place_ranks(topology, 7, RankOrder.SPREAD)


def test_job_wide_collectives_widen_and_partial_ones_repeat() -> None:
    whole = Collective(kind=CollectiveKind.ALL_REDUCE, group=(0, 1, 2, 3), message_bytes=8)
    part = Collective(kind=CollectiveKind.ALL_GATHER, group=(1, 3), message_bytes=8)
    assert [item.group for item in widen(whole, 4, 10)] == [tuple(range(10))]
    assert [item.group for item in widen(part, 4, 10)] == [(1, 3), (5, 7)]
    assert widen(whole, 4, 10)[0].message_bytes == 8


def write_job(folder: Path, **changes: object) -> Path:
    job = {
        "world_size": 2,
        "collectives": [{"kind": "all-reduce", "group": [0, 1], "message_bytes": 100, "per_step": 3.0}],
        "final_loss": 2.5,
    }
    file = folder / "training.json"
    file.write_text(json.dumps(job | changes))
    return file


def test_a_job_read_from_a_folder_or_file_is_unchanged(tmp_path: Path) -> None:
    written = Collective(kind=CollectiveKind.REDUCE_SCATTER, group=(1, 0), message_bytes=77, per_step=0.5)
    file = write_job(tmp_path, collectives=[written.as_json()])
    for path in (file, tmp_path):
        assert read_job(path).collectives == (written,)
        assert read_job(path).world_size == 2


def test_a_job_as_traffic_carries_the_bytes_of_one_step(tmp_path: Path) -> None:
    flows = open_traffic(str(write_job(tmp_path)), leaf_spine(2, 2))
    assert [(flow.source, flow.target) for flow in flows] == [("host0", "host2"), ("host2", "host0")]
    assert {flow.size_bytes for flow in flows} == {300.0}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"world_size": 0}, "world_size"),
        ({"world_size": True}, "world_size"),
        ({"collectives": None}, "not a list"),
        ({"collectives": [{"kind": "all-reduse", "group": [0, 1], "message_bytes": 1}]}, "must be one of"),
        ({"collectives": [{"kind": "all-reduce", "group": [0, 2], "message_bytes": 1}]}, "ranks outside the job"),
        ({"collectives": [{"kind": "all-reduce", "group": [0, 1], "message_bytes": -1}]}, "out of range"),
        ({"collectives": [{"kind": "all-reduce", "group": [0, 1]}]}, "'message_bytes' is missing"),
    ],
)
def test_a_job_file_that_cannot_be_meant_is_named(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_job(write_job(tmp_path, **changes))
    assert "training.json" in str(caught.value)


def test_a_job_file_cut_short_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "training.json"
    file.write_text('{"world_size": 2,\n "collectives": [')
    with pytest.raises(ConfigurationError, match=r"training.json:2: .*complete"):
        read_job(file)


def test_a_missing_job_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_job(tmp_path)
    with pytest.raises(NotFoundError):
        open_traffic(str(tmp_path / "none.json"), leaf_spine(2, 2))


@pytest.mark.parametrize(
    ("specification", "says"),
    [
        ("ringshift", "unknown traffic 'ringshift'"),
        ("permutation", "needs a seed"),
        ("permutation:-1", "needs a seed"),
        ("permuttion:3", "unknown traffic"),
        ("matrix.cm", "not supported yet"),
    ],
)
def test_traffic_that_cannot_be_meant_is_refused(specification: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_traffic(specification, leaf_spine(2, 2))
