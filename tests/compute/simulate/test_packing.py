"""The protocol, the bound and the readers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.placement.cluster import Cluster
from bedplate.compute.scheduler.placement.request import WHOLE, Node, RequestClass
from bedplate.compute.simulate.bound import allocation_bound
from bedplate.compute.simulate.inflate import inflated_arrivals, sorted_classes, until_demand
from bedplate.compute.simulate.openb import read_nodes, read_pods
from bedplate.compute.simulate.packing import PackingTrace
from bedplate.compute.simulate.question import PackingQuestion
from bedplate.core.errors import ConfigurationError, NotFoundError, UsageError
from tests.compute.traces import make_nodes, make_pods, write_traces


def node(devices: int, cpu_milli: int = 1_000_000) -> Node:
    return Node(name=f"{devices}-{cpu_milli}", cpu_milli=cpu_milli, memory_mib=1_000_000, num_devices=devices, model="A")


def need(milli: int, count: int = 1, cpu_milli: int = 0) -> RequestClass:
    return RequestClass(cpu_milli=cpu_milli, memory_mib=0, num_devices=count, share_milli=milli)


@given(tune=st.floats(1, 3), seed=st.integers(0, 1000), capacity=st.integers(1, 60))
def test_arrivals_reach_the_demand_and_no_more_than_one_pod_over(tune: float, seed: int, capacity: int) -> None:
    classes, pods = sorted_classes(make_pods(50))
    milli = np.array([item.device_milli for item in classes])
    arriving = inflated_arrivals(pods, milli, capacity * WHOLE, tune, seed)
    demand, own = milli[arriving].sum(), milli[pods].sum()
    goal = tune * capacity * WHOLE
    if own <= goal:
        assert goal <= demand < goal + milli.max() or demand == own
        assert (np.bincount(arriving, minlength=len(classes)) >= np.bincount(pods, minlength=len(classes))).all()
    else:
        assert goal - milli.max() < demand <= goal


def test_arrivals_depend_on_the_seed_and_on_names_but_not_on_the_order_of_the_file() -> None:
    pods = make_pods(100)
    classes, in_order = sorted_classes(pods)
    _, reversed_file = sorted_classes(pods[::-1])
    assert in_order.tolist() == reversed_file.tolist()
    milli = np.array([item.device_milli for item in classes])
    first, again, other = (inflated_arrivals(in_order, milli, 10**6, 1.3, seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_arrivals_stop_with_the_pod_that_reaches_the_capacity() -> None:
    milli = np.array([400, 1000])
    assert until_demand(np.array([0, 0, 1, 1, 1]), milli, 1500).tolist() == [0, 0, 1]
    assert until_demand(np.array([0, 1]), milli, 9000).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("nodes", "classes", "counts", "expected"),
    [
        ([node(2)], [need(WHOLE)], [5], 1.0),
        ([node(2)], [need(WHOLE)], [1], 0.5),
        ([node(4)], [need(600)], [9], 0.6),
        ([node(4)], [need(600), need(400)], [4, 2], (4 * 0.6 + 2 * 0.4) / 4),
        ([node(4, cpu_milli=2_000)], [need(WHOLE, cpu_milli=1_000)], [9], 0.5),
        ([node(2), node(2, cpu_milli=999_999)], [need(WHOLE, count=4)], [1], 0.0),
    ],
    ids=["all", "few", "one a device", "two a device", "cpu", "too large for a node"],
)
def test_the_bound_where_it_is_known(nodes: list, classes: list, counts: list, expected: float) -> None:
    assert allocation_bound(Cluster(nodes, classes), np.array(counts, float)) == pytest.approx(expected, abs=2e-3)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_policy_exceeds_the_bound(seed: int) -> None:
    trace = PackingTrace(make_nodes(20), make_pods(150, seed), 1.3)
    bound = trace.bound_frac(seed)
    assert all(trace.run(name, seed, bound).allocation_frac <= bound + 1e-9 for name in ("fgd", "rollout", "best-fit"))


def test_traces_are_read_as_they_are_written(tmp_path: Path) -> None:
    nodes, pods = make_nodes(9), make_pods(30)
    nodes_file, pods_file = write_traces(tmp_path, nodes, pods)
    assert read_nodes(nodes_file) == nodes
    assert read_pods(pods_file) == pods


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the trace lacks columns"),
        ("sn,cpu_milli,memory_mib,gpu\na,1,1,1\n", "nodes.csv:1.*missing: model"),
        ("sn,cpu_milli,memory_mib,gpu,model\n", "the trace is empty"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,1,1,1,A\nb,x,1,1,A\n", "nodes.csv:3: cpu_milli='x'"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,1,1,-1,A\n", "nodes.csv:2: gpu='-1'"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,1\n", "a row is cut short.*nodes.csv:2"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,1,1,1,A\na,1,1,1,A\n", "a name is there twice.*: a"),
    ],
)
def test_a_malformed_trace_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "nodes.csv"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=f"(?s){message}"):
        read_nodes(file)


def test_a_pod_that_cannot_be_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "pods.csv"
    file.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,1,1000\nb,1,1,2,500\n")
    with pytest.raises(ConfigurationError, match=r"pods\.csv:3: 2 devices, 500/1000"):
        read_pods(file)
    file.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,0,500\n")
    with pytest.raises(ConfigurationError, match=r"pods\.csv:2: 0 devices, 500/1000"):
        read_pods(file)
    with pytest.raises(NotFoundError, match="no such file"):
        read_pods(tmp_path / "absent.csv")


def test_nothing_to_pack_is_refused() -> None:
    without = [("a", RequestClass(cpu_milli=1, memory_mib=1))]
    with pytest.raises(UsageError, match="nothing to pack"):
        PackingTrace(make_nodes(2), without, 1.3)


@pytest.mark.parametrize("seeds", ["", "5:5", "5:4", "a:b", "1:2:3", ":3", "3:", "0:99999"])
def test_seeds_that_cannot_be_read_are_refused(seeds: str) -> None:
    with pytest.raises(UsageError, match="the seeds cannot be read"):
        PackingQuestion(nodes="n.csv", pods="p.csv", seeds=seeds)


def test_seeds_end_before_their_end() -> None:
    assert list(PackingQuestion(nodes="n.csv", pods="p.csv", seeds="42:45").seed_range()) == [42, 43, 44]
    assert list(PackingQuestion(nodes="n.csv", pods="p.csv", seeds="7").seed_range()) == [7]
