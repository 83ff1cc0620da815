"""Jobs that pass a blocked one, and what they may not do to it."""

from __future__ import annotations

import pytest

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Start
from bedplate.compute.scheduler.job import Topology
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun


def blocked_gang(**settings: object) -> VirtualRun:
    """Two nodes, one of them busy until 100; a gang that needs both waits since 1."""
    state = SchedulerState([make_node("n0"), make_node("n1")], settings=SchedulerSettings(**settings))  # type: ignore[arg-type]
    run = VirtualRun(state)
    run.submit(make_job("busy", devices=8, expected_s=100.0), make_job("gang", at=1.0, workers=2, devices=8))
    return run


def test_a_job_that_ends_in_time_passes_a_blocked_gang() -> None:
    run = blocked_gang()
    run.submit(make_job("short", at=2.0, expected_s=90.0))
    run.run(50.0)
    assert run.started_s == {"busy": 0.0, "short": 2.0}


@pytest.mark.parametrize("expected_s", [None, 200.0])
def test_a_job_that_would_delay_it_waits(expected_s: float | None) -> None:
    run = blocked_gang()
    run.submit(make_job("long", at=2.0, expected_s=expected_s))
    run.run(1_000.0)
    assert run.started_s["gang"] == 100.0 and run.started_s["long"] == 200.0


def test_a_job_beside_the_reserved_nodes_passes_however_long_it_runs() -> None:
    run = blocked_gang()
    run.at(0.5, lambda: run.state.node_added(make_node("n2")))
    run.submit(make_job("filler", at=0.7, devices=4))
    run.submit(make_job("long", at=2.0, devices=4))
    run.run(50.0)
    assert run.started_s["long"] == 2.0


def test_what_is_spare_on_a_reserved_node_may_be_used() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    run = VirtualRun(state)
    run.submit(make_job("busy", devices=8, expected_s=100.0), make_job("gang", at=1.0, workers=2, devices=6))
    run.submit(*(make_job(f"long{at}", at=2.0, devices=1) for at in range(3)))
    run.run(150.0)
    assert run.started_s["gang"] == 100.0 and [run.started_s[f"long{at}"] for at in range(2)] == [2.0, 2.0]
    assert run.started_s["long2"] == 100.0


def test_without_backfill_nobody_passes() -> None:
    run = blocked_gang(backfill=False)
    run.submit(make_job("short", at=2.0, expected_s=10.0))
    run.run(99.0)
    assert list(run.started_s) == ["busy"]


def test_a_job_that_overruns_lets_nobody_in_on_its_account() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    run = VirtualRun(state, {"busy": 500.0})
    run.submit(make_job("busy", devices=8, expected_s=100.0), make_job("gang", at=1.0, workers=2, devices=8))
    run.submit(*(make_job(f"short{at}", at=10.0 * at, expected_s=50.0, devices=8) for at in range(11, 60)))
    run.run(700.0)
    assert run.started_s["gang"] == pytest.approx(500.0)


def test_small_jobs_that_keep_coming_do_not_starve_a_gang() -> None:
    state = SchedulerState([make_node("n0", 4), make_node("n1", 4)], settings=SchedulerSettings(aging=300.0))
    run = VirtualRun(state, default_s=70.0)
    run.submit(*(make_job(f"s{at:04}", tenant="small", at=7.0 * at) for at in range(600)))
    run.submit(make_job("gang", tenant="large", at=100.0, workers=2, devices=4))
    run.run(5_000.0)
    assert run.started_s["gang"] < 500.0


def test_topology_is_kept_and_few_leaves_are_preferred() -> None:
    nodes = [make_node(f"n{at}", leaf=f"leaf{at // 2}") for at in range(6)]
    run = VirtualRun(SchedulerState(nodes))
    run.submit(make_job("one", devices=8), make_job("pair", at=1.0, devices=8, workers=2, topology=Topology.SAME_LEAF))
    run.submit(make_job("any", at=2.0, devices=8, workers=2), make_job("node", at=3.0, workers=8, topology=Topology.SAME_NODE))
    run.run(10.0)
    places = {decision.job_id: decision.allocation.places for _, decision in run.decisions if isinstance(decision, Start)}
    leaves = {name: {int(place.node[1:]) // 2 for place in of_job} for name, of_job in places.items()}
    assert len(leaves["pair"]) == len(leaves["any"]) == 1
    assert len({place.node for place in places["node"]}) == 1


def test_that_nobody_is_delayed_is_said_only_where_everyone_before_has_a_reservation() -> None:
    state = SchedulerState([make_node("n0", 4), make_node("n1", 4)])
    state.submit(make_job("gang", workers=2, devices=4))
    state.node_lost("n1")
    state.submit(make_job("small", at=1.0))
    (start,) = decide(state, 1.0)
    assert isinstance(start, Start) and start.job_id == "small" and "without delaying them" not in start.reason
    assert "those with a reservation" in start.reason
