"""What `decide` gives for small, plain cases."""

from __future__ import annotations

from bedplate.compute.scheduler.decide import apply, decide
from bedplate.compute.scheduler.decision import Refuse, Start
from bedplate.compute.scheduler.state import SchedulerState
from tests.compute.scheduler.clusters import make_job, make_node


def started(state: SchedulerState, now: float) -> list[str]:
    """Decide and carry out; ids of the jobs that started."""
    decisions = decide(state, now)
    for decision in decisions:
        apply(state, decision, now)
    return [decision.job_id for decision in decisions if isinstance(decision, Start)]


def test_what_fits_starts_and_what_does_not_waits() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    state.submit(make_job("gang", workers=2, devices=8))
    state.submit(make_job("late", at=1.0))
    assert started(state, 1.0) == ["gang"]
    assert decide(state, 2.0) == ()
    state.ended("gang", 3.0)
    assert started(state, 3.0) == ["late"]


def test_a_gang_starts_as_a_whole_or_not_at_all() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    state.submit(make_job("one", devices=1))
    state.submit(make_job("gang", workers=2, devices=8, at=1.0))
    assert started(state, 1.0) == ["one"]
    state.ended("one", 2.0)
    (start,) = decide(state, 2.0)
    assert isinstance(start, Start) and {place.node for place in start.allocation.places} == {"n0", "n1"}


def test_a_request_that_nothing_can_meet_is_refused_with_the_nearest() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    state.submit(make_job("big", workers=3, devices=8))
    (refuse,) = decide(state, 0.0)
    assert refuse == Refuse(
        job_id="big", reason="the cluster has room for 2 of 3 workers when it is empty", nearest="2 workers"
    )


def test_decide_leaves_the_state_as_it_was() -> None:
    state = SchedulerState([make_node(f"n{at}") for at in range(4)])
    for at in range(20):
        state.submit(make_job(f"j{at}", tenant=f"t{at % 3}", workers=1 + at % 3))
    first = decide(state, 0.0)
    assert first and decide(state, 0.0) == first and len(state.queue) == 20
    state.nodes.cluster.check_integrity()
