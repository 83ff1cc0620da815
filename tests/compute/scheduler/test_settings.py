"""Orders and placement policies by name, of one's own, and wrong ones."""

from __future__ import annotations

import sys
import types

import pytest

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Start
from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.placement import POLICIES
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.core.errors import UsageError
from tests.compute.scheduler.clusters import make_job, make_node


def order_of(*rules: str) -> list[str]:
    """Ids of three jobs in the order in which they start."""
    state = SchedulerState([make_node("n0")], settings=SchedulerSettings(order=rules))
    state.submit(make_job("old", at=0.0, expected_s=300.0))
    state.submit(make_job("short", at=1.0, expected_s=100.0, deadline_s=10_000.0))
    state.submit(make_job("urgent", at=2.0, expected_s=200.0, deadline_s=5_000.0, priority=-1))
    return [decision.job_id for decision in decide(state, 10.0)]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("age",), ["old", "short", "urgent"]),
        (("shortest",), ["short", "urgent", "old"]),
        (("deadline",), ["urgent", "short", "old"]),
        (("priority", "deadline", "age"), ["short", "old", "urgent"]),
    ],
)
def test_rules_order_jobs_and_the_next_one_breaks_ties(rules: tuple[str, ...], expected: list[str]) -> None:
    assert order_of(*rules) == expected


def test_a_rule_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longest:
        def job_key(self, job: Job) -> float:
            return -(job.expected_s or 0.0)

    module = types.ModuleType("site_rules.longest")
    module.make_rule = lambda settings: Longest()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "site_rules", types.ModuleType("site_rules"))
    monkeypatch.setitem(sys.modules, "site_rules.longest", module)
    assert order_of("site_rules.longest") == ["old", "urgent", "short"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"order": ("prioritty",)}, "unknown order of the queue"),
        ({"order": ("no.such.rule",)}, "cannot be loaded"),
        ({"order": ("fair", "fair")}, "two rules for tenants"),
        ({"placement": "random"}, "cannot place at random"),
        ({"placement": "tigth"}, "unknown placement policy"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        SchedulerState([make_node("n0")], settings=SchedulerSettings(**settings))


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"random"}))
def test_every_placement_policy_serves_the_scheduler(policy: str) -> None:
    jobs = [make_job(f"j{at}", devices=1, share_milli=500 if at % 2 else 1000) for at in range(12)]
    state = SchedulerState([make_node("n0", 4), make_node("n1", 4)], settings=SchedulerSettings(placement=policy), history=jobs)
    for job in jobs:
        state.submit(job)
    decisions = decide(state, 0.0)
    assert decide(state, 0.0) == decisions
    assert sum(isinstance(decision, Start) for decision in decisions) >= 10


def test_the_order_survives_a_preemption_and_a_lost_launch() -> None:
    state = SchedulerState([make_node("n0", 1)])
    state.submit(make_job("first", at=0.0))
    state.submit(make_job("second", at=1.0))
    (start,) = decide(state, 5.0)
    assert isinstance(start, Start)
    state.started("first", start.allocation, 5.0)
    state.requeued("first", 6.0)
    assert [decision.job_id for decision in decide(state, 7.0)] == ["first"]


def test_an_urgent_job_that_is_first_anyway_is_looked_at_once() -> None:
    state = SchedulerState([make_node("n0", 1)], settings=SchedulerSettings(order=("age",)))
    state.submit(make_job("urgent", deadline_s=150.0, expected_s=100.0))
    state.submit(make_job("next", at=1.0))
    assert [decision.job_id for decision in decide(state, 10.0)] == ["urgent"]
