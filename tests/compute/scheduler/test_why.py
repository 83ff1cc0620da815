"""What people are told about a job that waits."""

from __future__ import annotations

import pytest

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.quota.tenants import Quota
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.why import why
from bedplate.core.errors import NotFoundError
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun


def test_nodes_are_counted_by_what_rejects_them_and_the_start_is_estimated() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1", 2), make_node("n2"), make_node("n3", model="L40")])
    state.node_usable("n2", False, "maintenance")
    run = VirtualRun(state)
    run.submit(make_job("busy", devices=8, expected_s=100.0, accelerators=("H100",)))
    run.submit(make_job("first", at=1.0, devices=8, accelerators=("H100",)))
    run.submit(make_job("second", at=2.0, devices=8, accelerators=("H100",)))
    run.run(10.0)
    told = why(state, "first", 10.0)
    assert told.reason == "there is no room" and told.earliest_start_s == 100.0 and told.ahead == 0
    assert told.rejected["H100"] == {"not usable": 1, "no device of the model": 1, "too small": 1, "too few free devices": 1}
    assert why(state, "second", 10.0).ahead == 1


def test_a_limit_is_named_with_its_numbers() -> None:
    quota = Quota(tenant="a", guaranteed={"H100": 1}, limit={"H100": 2})
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=[quota]))
    run.submit(*(make_job(f"j{at}", at=float(at), tenant="a/team") for at in range(3)))
    run.run(5.0)
    told = why(run.state, "j2", 5.0)
    assert told.reason == "tenant 'a' would exceed its limit of 2 H100"
    assert told.quota == ("tenant 'a' holds 2 H100 of 1 guaranteed, limit 2",)


def test_room_that_is_kept_is_said_to_be_kept() -> None:
    run = VirtualRun(SchedulerState([make_node("n0"), make_node("n1")]))
    run.submit(make_job("busy", devices=8, expected_s=100.0), make_job("gang", at=1.0, workers=2, devices=8))
    run.submit(make_job("long", at=2.0))
    run.run(10.0)
    told = why(run.state, "long", 10.0)
    assert told.reason == "what is free is kept for jobs before it"
    assert told.details[0] == "room is kept for gang" and told.rejected["H100"]["kept for jobs before it"] == 2


def test_room_in_the_making_is_told() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")]), default_s=1_000.0)
    run.submit(make_job("low", devices=8, grace_s=30.0), make_job("high", at=100.0, devices=8, priority=1))
    run.run(100.0)
    assert why(run.state, "high", 110.0).reason == "1 jobs make room for it, within 20 s"
    assert why(run.state, "low", 110.0).reason == "it was asked to end, and waits again then"


def test_refused_running_and_unknown_jobs() -> None:
    state = SchedulerState([make_node("n0")])
    state.submit(make_job("big", devices=9))
    state.submit(make_job("small"))
    assert why(state, "big", 0.0).details == ("nearest request that could be met: 8 accelerators a worker",)
    assert why(state, "small", 0.0).reason == "it starts in the next pass"
    assert len(decide(state, 0.0)) == 2
    with pytest.raises(NotFoundError, match="no such job"):
        why(state, "gone", 0.0)
