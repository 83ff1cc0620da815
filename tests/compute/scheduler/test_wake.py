"""When to look again without an event."""

from __future__ import annotations

from bedplate.compute.scheduler.decide import apply, decide
from bedplate.compute.scheduler.quota.tenants import Quota
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.wake import next_decision_s
from tests.compute.scheduler.clusters import make_job, make_node


def test_nothing_is_due_when_nothing_waits() -> None:
    assert next_decision_s(SchedulerState([make_node("n0")]), 0.0) is None


def test_what_is_due_first_is_named_and_a_decision_follows() -> None:
    settings = SchedulerSettings(least_run=60.0, laxity=10.0)
    state = SchedulerState(
        [make_node("n0", 1)], quotas=[Quota(tenant="z", lent={"H100": 1}, lent_until_s=900.0)], settings=settings
    )
    state.submit(make_job("low"))
    for decision in decide(state, 5.0):
        apply(state, decision, 5.0)
    assert next_decision_s(state, 5.0) == 900.0
    state.submit(make_job("late", deadline_s=500.0, expected_s=100.0))
    assert next_decision_s(state, 70.0) == 390.0
    state.submit(make_job("high", priority=1))
    assert next_decision_s(state, 5.0) == 65.0 and decide(state, 64.0) == () and decide(state, 65.0) != ()


def test_a_stopped_job_that_rests_is_waited_for() -> None:
    state = SchedulerState([make_node("n0", 1)])
    state.submit(make_job("j"))
    for decision in decide(state, 0.0):
        apply(state, decision, 0.0)
    state.requeued("j", 10.0, not_before_s=40.0)
    assert decide(state, 20.0) == () and next_decision_s(state, 20.0) == 40.0 and len(decide(state, 40.0)) == 1
