"""Who makes room for whom, and who does not."""

from __future__ import annotations

import random

import pytest

from bedplate.compute.scheduler.decide import apply, decide
from bedplate.compute.scheduler.decision import Preempt, Shrink, Start
from bedplate.compute.scheduler.quota.tenants import Quota
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun


def test_higher_priority_takes_the_place_of_lower_after_its_grace() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), default_s=1_000.0)
    run.submit(make_job("low", devices=8, grace_s=45.0), make_job("high", at=100.0, devices=8, priority=1))
    run.run(5_000.0)
    assert run.names(Preempt) == ["low"]
    assert run.started_s["high"] == 145.0 and run.ended_s["low"] == 1_145.0 + 1_000.0 - 145.0


def test_nobody_is_preempted_unless_the_job_then_fits() -> None:
    run = VirtualRun(SchedulerState([make_node("n0"), make_node("n1")]), default_s=1_000.0)
    run.submit(make_job("low", devices=8), make_job("firm", devices=8, is_preemptible=False))
    run.submit(make_job("high", at=100.0, workers=2, devices=8, priority=1))
    run.run(500.0)
    assert run.names(Preempt) == []


def test_only_as_many_as_needed_and_those_that_lose_least() -> None:
    run = VirtualRun(SchedulerState([make_node("n0"), make_node("n1")]), default_s=10_000.0)
    run.submit(*(make_job(f"low{at}", at=float(at), devices=2) for at in range(8)))
    run.submit(make_job("high", at=1_000.0, devices=4, priority=1))
    run.run(1_001.0)
    preempted = run.names(Preempt)
    assert len(preempted) == 2
    nodes = {run.state.entry(name).allocation.places[0].node for name in preempted}  # type: ignore[union-attr]
    assert len(nodes) == 1 and set(preempted) == {"low6", "low7"}


def test_nobody_takes_the_place_that_is_made_for_another() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), default_s=1_000.0)
    run.submit(*(make_job(f"low{at}", devices=4, grace_s=30.0 + 30.0 * at) for at in range(2)))
    run.submit(make_job("high", at=100.0, devices=8, priority=1), make_job("sneaky", at=101.0, devices=4, priority=1))
    run.submit(make_job("quick", at=102.0, devices=1, priority=0, expected_s=1_000.0))
    run.run(161.0)
    assert run.started_s["high"] == 160.0 and not {"sneaky", "quick"} & set(run.started_s)


def test_no_more_is_asked_for_while_room_is_being_made() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    run = VirtualRun(state, default_s=1_000.0)
    run.submit(
        *(make_job(f"low{at}", devices=8, grace_s=300.0) for at in range(2)), make_job("high", at=100.0, devices=8, priority=1)
    )
    run.run(100.0)
    assert len(run.names(Preempt)) == 1
    for now in (110.0, 200.0, 390.0):
        assert decide(state, now) == ()


def test_one_that_was_displaced_never_takes_the_place_back() -> None:
    state = SchedulerState([make_node("n0")])
    run = VirtualRun(state, default_s=5_000.0)
    run.submit(make_job("low", devices=8), make_job("high", at=100.0, devices=8, priority=1))
    run.run(200.0)
    assert "high" in state.entry("low").displaced_by and run.names(Start) == ["low", "high"]
    run.run(4_000.0)
    assert run.names(Preempt) == ["low"]


def test_a_job_is_not_preempted_over_and_over() -> None:
    settings = SchedulerSettings(preemptions_per_hour=2, least_run=0.0)
    run = VirtualRun(SchedulerState([make_node("n0")], settings=settings), {"low": 3_000.0}, default_s=50.0)
    run.submit(make_job("low", devices=8, grace_s=1.0))
    run.submit(*(make_job(f"high{at}", at=200.0 * (at + 1), devices=8, priority=1) for at in range(6)))
    run.run(3_000.0)
    assert run.names(Preempt) == ["low", "low"]


def test_a_job_that_has_just_started_is_left_alone_for_a_while() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")], settings=SchedulerSettings(least_run=60.0)), default_s=1_000.0)
    run.submit(make_job("low", devices=8), make_job("high", at=10.0, devices=8, priority=1))
    run.at(59.0, lambda: None)
    run.at(61.0, lambda: None)
    run.run(60.5)
    assert run.names(Preempt) == []
    run.run(62.0)
    assert run.names(Preempt) == ["low"]


def test_preemption_can_be_turned_off() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")], settings=SchedulerSettings(preemption=False)))
    run.submit(make_job("low", devices=8), make_job("high", at=50.0, devices=8, priority=1))
    run.run(99.0)
    assert run.names(Preempt) == []


def test_what_an_elastic_job_grew_into_goes_to_whoever_needs_it() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), default_s=10_000.0)
    run.submit(make_job("elastic", workers=8, min_workers=2), make_job("new", tenant="b", at=100.0, devices=3))
    run.run(150.0)
    assert run.names(Shrink) == ["elastic"] and run.started_s["new"] == 101.0
    assert run.state.entry("elastic").num_workers == 5


def test_an_elastic_job_starts_small_and_grows_when_there_is_room() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), {"busy": 100.0}, default_s=10_000.0)
    run.submit(make_job("busy", devices=6), make_job("elastic", at=1.0, workers=6, min_workers=2))
    run.run(99.0)
    assert run.state.entry("elastic").num_workers == 2
    run.run(200.0)
    assert run.state.entry("elastic").num_workers == 6


def test_workers_that_need_not_start_together_start_one_by_one() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), {"busy": 100.0}, default_s=1_000.0)
    run.submit(make_job("busy", devices=6), make_job("array", at=1.0, workers=4, is_gang=False))
    run.run(99.0)
    assert run.state.entry("array").num_workers == 2
    run.run(101.0)
    assert run.state.entry("array").num_workers == 4


def test_a_job_for_which_room_is_made_does_not_take_what_is_made_for_another() -> None:
    state = SchedulerState([make_node("n0", 2), make_node("n1", 2)], quotas=[Quota(tenant="own", guaranteed={"H100": 4})])
    run = VirtualRun(state, default_s=100_000.0)
    run.submit(*(make_job(f"b{at}", tenant="bor") for at in range(4)))
    run.submit(make_job("el", tenant="own", at=1_000.0, workers=3, min_workers=1), make_job("o", tenant="own", at=1_000.0))
    run.run(1_500.0)
    assert {"el", "o"} <= set(run.started_s)
    assert len(run.names(Preempt)) == 2, "as many as there are jobs that need a device"


@pytest.mark.parametrize("seed", range(12))
def test_who_gets_room_made_starts_when_it_is_there(seed: int) -> None:
    """Random jobs of one and of several workers, which reclaim a full cluster at once and get it at once."""
    draw = random.Random(seed)
    nodes = [make_node(f"n{at}", draw.choice((2, 4))) for at in range(draw.randint(1, 4))]
    quotas = [Quota(tenant=name, guaranteed={"H100": 16}) for name in ("a", "b")]
    state = SchedulerState(nodes, quotas=quotas, settings=SchedulerSettings(least_run=0.0))
    for at in range(sum(len(node.devices) - 1 for node in nodes)):
        state.submit(make_job(f"low{at}", tenant="bor"))
    for decision in decide(state, 0.0):
        apply(state, decision, 0.0)
    for at in range(3):
        workers = draw.randint(1, 4)
        elastic = make_job(f"j{at}", tenant=draw.choice("ab"), workers=workers, min_workers=draw.randint(1, workers))
        state.submit(elastic)
    asked = decide(state, 100.0)
    for decision in asked:
        apply(state, decision, 100.0)
    for name in list(state.going):
        state.preempted(name, 130.0)
    started = {decision.job_id for decision in decide(state, 130.0) if isinstance(decision, Start)}
    assert {decision.beneficiary for decision in asked if isinstance(decision, Preempt)} <= started
