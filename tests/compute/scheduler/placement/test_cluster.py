"""Free capacity, and where a request fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.placement.candidates import find_candidates
from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.core.errors import UsageError
from tests.compute.traces import NEEDS, make_nodes

CLASSES = [need for _, need in NEEDS]


def candidates(cluster: Cluster, item: int) -> set[tuple[int, int]]:
    owner, device, _ = find_candidates(cluster.free, cluster.requests, item, np.arange(len(cluster.nodes)))
    return set(zip(owner.tolist(), device.tolist(), strict=True))


def expected_candidates(cluster: Cluster, need: RequestClass, item: int) -> set[tuple[int, int]]:
    """The same, said in plain Python."""
    found = set()
    for at, node in enumerate(cluster.nodes):
        shares = cluster.free.shares[at, : node.num_devices].tolist()
        has_room = cluster.free.cpu[at] >= need.cpu_milli and cluster.free.memory[at] >= need.memory_mib
        accepted = not need.num_devices or not need.models or node.model in need.models
        if not has_room or not accepted:
            continue
        if 0 < need.share_milli < WHOLE:
            first = {share: device for device, share in reversed(list(enumerate(shares))) if share >= need.share_milli}
            found |= {(at, device) for device in first.values()}
        elif shares.count(WHOLE) >= need.num_devices:
            found.add((at, -1))
    return found


@settings(max_examples=40, deadline=None)
@given(requests=st.lists(st.tuples(st.integers(0, len(CLASSES) - 1), st.randoms(use_true_random=False)), max_size=60))
def test_candidates_are_exactly_where_a_request_fits(requests: list) -> None:
    cluster = Cluster(make_nodes(8), CLASSES)
    for item, random in requests:
        found = candidates(cluster, item)
        assert found == expected_candidates(cluster, CLASSES[item], item)
        if found:
            node, device = random.choice(sorted(found))
            before = int(cluster.free.shares.sum())
            cluster.place(node, item, device)
            assert before - cluster.free.shares.sum() == CLASSES[item].device_milli
            cluster.check_integrity()


def test_the_state_afterwards_is_what_placing_leaves() -> None:
    cluster = Cluster(make_nodes(8), CLASSES)
    for item in (0, 2, 7, 3, 3, 4, 9, 1):
        owner, device, after = find_candidates(cluster.free, cluster.requests, item, np.arange(8))
        cluster.place(int(owner[0]), item, int(device[0]))
        assert cluster.free.shares[owner[0]].tolist() == after.shares[0].tolist()
        assert (cluster.free.cpu[owner[0]], cluster.free.memory[owner[0]]) == (after.cpu[0], after.memory[0])


@pytest.mark.parametrize(("devices", "share"), [(2, 500), (0, 500), (1, 0), (1, 1001), (-1, WHOLE)])
def test_a_request_that_cannot_be_is_refused(devices: int, share: int) -> None:
    with pytest.raises(UsageError, match="a request cannot be read"):
        RequestClass(cpu_milli=1, memory_mib=1, num_devices=devices, share_milli=share)


def test_a_model_that_no_node_has_fits_nowhere() -> None:
    need = RequestClass(cpu_milli=0, memory_mib=0, num_devices=1, share_milli=WHOLE, models=("none",))
    assert candidates(Cluster(make_nodes(4), [need]), 0) == set()


def test_nodes_without_devices_take_what_needs_none() -> None:
    node = Node(name="cpu", cpu_milli=4_000, memory_mib=100, num_devices=0, model="none")
    cluster = Cluster([node], [RequestClass(cpu_milli=3_000, memory_mib=10)])
    assert candidates(cluster, 0) == {(0, -1)}
    cluster.place(0, 0, -1)
    assert candidates(cluster, 0) == set()
