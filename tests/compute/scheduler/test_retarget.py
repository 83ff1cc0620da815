"""Jobs whose numbers change while they wait or run: what they hold follows, and the books stay right."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Grow, Preempt, Refuse, Shrink
from bedplate.compute.scheduler.entry import Phase
from bedplate.compute.scheduler.job import Job
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.tenants import Quota
from bedplate.core.errors import NotFoundError, UsageError
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.test_properties import drawn_job, drawn_state, fingerprint
from tests.compute.scheduler.virtual_run import VirtualRun

NO_REST = SchedulerSettings(least_run=0.0)


def serving() -> Job:
    return make_job("serve", tenant="serving", is_gang=False, priority=5)


def run_of(devices: int, *jobs: Job, quotas: Sequence[Quota] = ()) -> VirtualRun:
    run = VirtualRun(SchedulerState([make_node("n0", devices)], quotas=quotas, settings=NO_REST), default_s=1e6)
    run.submit(*jobs)
    run.run(0.0)
    return run


def at_once(run: VirtualRun, when_s: float, workers: int, fewest: int | None = None, job: str = "serve") -> None:
    run.at(when_s, lambda: run.state.retarget(job, workers, workers if fewest is None else fewest))
    run.run(when_s + 100.0)


def held(run: VirtualRun, job: str) -> int:
    return run.state.entry(job).num_workers


def test_serving_grows_into_what_elastic_training_has_beyond_its_minimum_and_training_grows_after_it() -> None:
    run = run_of(8, serving(), make_job("train", workers=8, min_workers=2))
    assert (held(run, "serve"), held(run, "train")) == (1, 7)
    at_once(run, 100.0, 5)
    assert (held(run, "serve"), held(run, "train")) == (5, 3)
    assert not run.names(Preempt)
    at_once(run, 300.0, 2)
    assert (held(run, "serve"), held(run, "train")) == (2, 6)
    kinds = [type(decision).__name__ for _, decision in run.decisions if decision.job_id == "train"]
    assert kinds == ["Start", "Shrink", "Grow"]


def test_training_that_cannot_shrink_is_preempted_only_for_what_serving_is_entitled_to() -> None:
    run = run_of(4, serving(), make_job("train", workers=3))
    at_once(run, 100.0, 3, fewest=1)  # wants more, is entitled to what it has
    assert held(run, "serve") == 1 and not run.names(Preempt)
    at_once(run, 300.0, 3)
    assert run.names(Preempt) == ["train"] and held(run, "serve") == 3


def test_nobody_makes_room_for_a_job_of_lower_priority() -> None:
    low = make_job("serve", tenant="serving", is_gang=False, priority=-1)
    run = run_of(4, make_job("train", workers=3), low)
    at_once(run, 100.0, 3)
    assert held(run, "serve") == 1 and not run.names(Preempt) and not run.names(Shrink)


def test_what_is_guaranteed_is_taken_back_from_who_borrowed_and_not_while_it_is_lent() -> None:
    quota = Quota(tenant="serving", guaranteed={"H100": 3})
    low = make_job("serve", tenant="serving", is_gang=False)
    run = run_of(4, low, make_job("guest", workers=3), quotas=[quota])
    run.at(
        50.0, lambda: run.state.set_quota(Quota(tenant="serving", guaranteed={"H100": 3}, lent={"H100": 2}, lent_until_s=500))
    )
    at_once(run, 100.0, 3)
    assert held(run, "serve") == 1 and not run.names(Preempt)
    run.at(501.0, lambda: None)
    run.run(700.0)
    assert held(run, "serve") == 3 and run.names(Preempt) == ["guest"]


def test_a_waiting_job_is_looked_at_with_its_new_numbers() -> None:
    run = run_of(4, make_job("other", devices=2), make_job("train", workers=4))
    assert run.state.entry("train").phase is Phase.WAITING
    at_once(run, 10.0, 4, fewest=2, job="train")
    assert held(run, "train") == 2


def test_a_refused_job_is_judged_again() -> None:
    state = SchedulerState([make_node("n0", 4)])
    state.submit(make_job("large", workers=8))
    assert isinstance(decide(state, 0.0)[0], Refuse)
    state.retarget("large", 9, 9)
    assert isinstance(decide(state, 0.0)[0], Refuse)
    state.retarget("large", 8, 4)
    assert not any(isinstance(decision, Refuse) for decision in decide(state, 0.0))


def test_workers_on_cores_of_one_node_are_given_back_one_by_one() -> None:
    run = run_of(0, make_job("serve", tenant="serving", workers=5, devices=0, is_gang=False))
    at_once(run, 10.0, 2)
    assert held(run, "serve") == 2
    assert run.state.ledger.tenants["serving"].used["cpu"] == 2_000


def test_the_work_of_a_job_stays_the_same() -> None:
    state = SchedulerState([make_node("n0", 4)])
    state.submit(make_job("train", workers=4, expected_s=100.0))
    state.retarget("train", 2, 1)
    assert state.entry("train").job.expected_s == 200.0


@pytest.mark.parametrize(("workers", "fewest"), [(0, 0), (2, 3), (2, 0), (-1, 1)])
def test_numbers_that_cannot_be_are_refused(workers: int, fewest: int) -> None:
    state = SchedulerState([make_node("n0", 4)])
    state.submit(make_job("train", workers=4))
    with pytest.raises(UsageError):
        state.retarget("train", workers, fewest)
    with pytest.raises(NotFoundError):
        state.retarget("nobody", 1, 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_books_stay_right_whatever_is_retargeted(seed: int) -> None:
    draw = random.Random(seed)
    state = drawn_state(draw, preemptions_per_hour=50)
    jobs = [drawn_job(draw, f"j{at:03}", draw.uniform(0.0, 200.0)) for at in range(draw.randint(1, 25))]
    run = VirtualRun(state, {job.id: real_s for job, real_s in jobs})
    run.submit(*(job for job, _ in jobs))

    def change() -> None:
        if state.entries:
            workers = draw.randint(1, 6)
            state.retarget(draw.choice(sorted(state.entries)), workers, draw.randint(1, workers))

    for _ in range(60):
        run.at(draw.uniform(0.0, 900.0), change)
    for when_s in range(0, 4_000, 50):
        run.at(float(when_s), lambda: None)
    run.run(1_000.0, lambda: books_are_right(state))
    before = fingerprint(state)
    assert decide(state, run.now) == decide(state, run.now) and fingerprint(state) == before
    surplus = {entry.job.id: entry.surplus for entry in state.running.values() if entry.surplus and not entry.ends_by_s}
    assert not {name for name in surplus if not state.entry(name).shrinking}, "workers that nobody wants are kept"

    def to_one() -> None:
        for name in list(state.entries):
            state.retarget(name, 1, 1)

    run.at(1_001.0, to_one)
    run.run(1e7, lambda: books_are_right(state))
    assert not state.off_target and all(not any(tenant.used.values()) for tenant in state.ledger.tenants.values())


def books_are_right(state: SchedulerState) -> None:
    """Nothing is held twice, accounts are the sum of what runs, indices know what they should."""
    state.nodes.cluster.check_integrity()
    used: dict[str, dict[str, int]] = {}
    for entry in state.running.values():
        assert entry.allocation is not None and len(entry.allocation.places) == entry.num_workers > 0
        variant = entry.shape.variant(entry.model)
        assert variant is not None and entry.charge == state.charge_of(variant, entry.num_workers)
        assert (entry.job.id in state.off_target) == bool(entry.surplus or entry.owed)
        assert (entry.job.id in state.incomplete) == bool(entry.missing)
        for member in entry.tenant.line:
            account = used.setdefault(member.path, {})
            for resource, amount in entry.charge:
                account[resource] = account.get(resource, 0) + amount
    for path, tenant in state.ledger.tenants.items():
        assert {key: amount for key, amount in tenant.used.items() if amount} == {
            key: amount for key, amount in used.get(path, {}).items() if amount
        }
    waiting = [entry.job.id for entry in state.queue]
    assert len(waiting) == len(set(waiting)) == len(state.queue)
    assert set(waiting) | set(state.running) | set(state.refused) == set(state.entries)


def test_retargeting_to_the_same_numbers_changes_nothing() -> None:
    run = run_of(8, serving(), make_job("train", workers=8, min_workers=2))
    at_once(run, 100.0, 3)
    before = fingerprint(run.state)
    run.state.retarget("serve", 3, 3)
    assert fingerprint(run.state) == before and not any(isinstance(item, Grow) for item in decide(run.state, run.now))
