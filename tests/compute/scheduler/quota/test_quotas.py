"""Limits, guarantees, borrowing, and getting back what was borrowed."""

from __future__ import annotations

import pytest

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Preempt, Shrink, Start
from bedplate.compute.scheduler.quota.ledger import Ledger
from bedplate.compute.scheduler.quota.tenants import DeviceType, Quota
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.core.errors import UsageError
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun


def started(run: VirtualRun) -> set[str]:
    return set(run.names(Start))


def test_a_limit_holds_for_a_tenant_and_all_below_it() -> None:
    state = SchedulerState([make_node("n0")], quotas=[Quota(tenant="a", limit={"H100": 3})])
    run = VirtualRun(state)
    run.submit(*(make_job(f"j{at}", tenant=f"a/{at % 2}") for at in range(6)), make_job("other", tenant="b"))
    run.run(1.0)
    assert len(started(run) - {"other"}) == 3 and "other" in started(run)


def test_a_limit_of_units_counts_models_by_their_worth() -> None:
    types = [DeviceType(model="H100", units=4.0), DeviceType(model="L40", units=1.0)]
    nodes = [make_node("n0"), make_node("n1", model="L40")]
    state = SchedulerState(nodes, types, [Quota(tenant="a", limit={"any": 6})])
    run = VirtualRun(state)
    run.submit(make_job("h", accelerators=("H100",)), *(make_job(f"l{at}", accelerators=("L40",)) for at in range(5)))
    run.run(1.0)
    assert len(started(run)) == 3 and "h" in started(run)


def test_more_than_the_limit_is_refused_at_once() -> None:
    state = SchedulerState([make_node("n0")], quotas=[Quota(tenant="a", limit={"H100": 3})])
    state.submit(make_job("j", devices=4))
    (refuse,) = decide(state, 0.0)
    assert "limit of 3 of tenant 'a'" in refuse.reason


def test_what_is_borrowed_comes_back_the_youngest_first_and_only_as_much_as_is_needed() -> None:
    quotas = [Quota(tenant="owner", guaranteed={"H100": 4}), Quota(tenant="guest", guaranteed={"H100": 4})]
    state = SchedulerState([make_node("n0")], quotas=quotas)
    run = VirtualRun(state, default_s=1_000.0)
    run.submit(*(make_job(f"g{at}", tenant="guest", at=float(at)) for at in range(8)))
    run.submit(make_job("mine", tenant="owner", at=50.0, devices=2))
    run.run(60.0)
    assert sorted(run.names(Preempt)) == ["g6", "g7"]
    run.run(100.0)
    assert "mine" in run.started_s and run.started_s["mine"] == pytest.approx(80.0)


def test_a_guest_within_its_guarantee_keeps_what_it_has() -> None:
    quotas = [Quota(tenant="owner", guaranteed={"H100": 4}), Quota(tenant="guest", guaranteed={"H100": 4})]
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=quotas), default_s=1_000.0)
    run.submit(*(make_job(f"g{at}", tenant="guest", at=float(at)) for at in range(8)))
    run.submit(make_job("mine", tenant="owner", at=50.0, devices=4), make_job("more", tenant="owner", at=51.0, priority=9))
    run.run(200.0)
    assert sorted(run.names(Preempt)) == ["g4", "g5", "g6", "g7"]
    assert "more" not in run.started_s


def test_nothing_is_reclaimed_while_it_is_lent() -> None:
    quotas = [Quota(tenant="owner", guaranteed={"H100": 8}, lent={"H100": 8}, lent_until_s=500.0)]
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=quotas), default_s=1_000.0)
    run.submit(*(make_job(f"g{at}", tenant="guest") for at in range(8)), make_job("mine", tenant="owner", at=100.0))
    run.at(499.0, lambda: None)
    run.at(501.0, lambda: None)
    run.run(499.5)
    assert run.names(Preempt) == []
    run.run(600.0)
    assert len(run.names(Preempt)) == 1 and "mine" in run.started_s


def test_siblings_borrow_from_each_other_before_strangers_lose_anything() -> None:
    quotas = [
        Quota(tenant="lab", guaranteed={"H100": 8}),
        Quota(tenant="lab/x", guaranteed={"H100": 4}),
        Quota(tenant="lab/y", guaranteed={"H100": 4}),
        Quota(tenant="other", guaranteed={"H100": 8}),
    ]
    run = VirtualRun(SchedulerState([make_node("n0"), make_node("n1")], quotas=quotas), default_s=1_000.0)
    run.submit(*(make_job(f"x{at}", tenant="lab/x", at=float(at)) for at in range(8)))
    run.submit(*(make_job(f"o{at}", tenant="other", at=float(at)) for at in range(8)))
    run.submit(make_job("y", tenant="lab/y", at=50.0, devices=3))
    run.run(100.0)
    assert sorted(run.names(Preempt)) == ["x5", "x6", "x7"]


def test_elastic_guests_shrink_before_anybody_is_preempted() -> None:
    quotas = [Quota(tenant="owner", guaranteed={"H100": 4})]
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=quotas), default_s=1_000.0)
    run.submit(
        make_job("elastic", tenant="guest", workers=6, min_workers=2), make_job("stiff", tenant="guest", at=1.0, devices=2)
    )
    run.submit(make_job("mine", tenant="owner", at=50.0, devices=3))
    run.run(60.0)
    assert run.names(Preempt) == [] and run.names(Shrink) == ["elastic"]
    assert run.started_s["mine"] == pytest.approx(51.0)
    assert run.state.entry("elastic").num_workers == 3


def test_work_that_cannot_be_preempted_leaves_others_their_guarantees() -> None:
    quotas = [Quota(tenant="owner", guaranteed={"H100": 5})]
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=quotas), default_s=1_000.0)
    run.submit(*(make_job(f"g{at}", tenant="guest", is_preemptible=False) for at in range(8)))
    run.submit(*(make_job(f"o{at}", tenant="owner", at=10.0) for at in range(5)))
    run.run(20.0)
    assert len(started(run)) == 8 and sum(name.startswith("o") for name in started(run)) == 5


def test_beyond_a_model_a_guarantee_of_any_covers_the_rest() -> None:
    ledger = Ledger([Quota(tenant="a", guaranteed={"H100": 2, "any": 6})], {"H100": 2.0, "L40": 1.0})
    tenant = ledger.tenant("a")

    def charge(model: str, devices: int) -> tuple[tuple[str, int], ...]:
        return ledger.charge_of(model, 1_000, 1_000, 0, devices)

    assert ledger.covers(tenant, charge("H100", 5), 0.0) and not ledger.covers(tenant, charge("H100", 6), 0.0)
    ledger.charge(tenant, charge("H100", 4))
    assert ledger.covers(tenant, charge("L40", 2), 0.0) and not ledger.covers(tenant, charge("L40", 3), 0.0)
    ledger.charge(tenant, charge("L40", 3))
    assert ledger.is_over(tenant, "L40", 0.0) and ledger.is_over(tenant, "H100", 0.0)


def test_fair_shares_follow_weights() -> None:
    quotas = [Quota(tenant="a", weight=3.0), Quota(tenant="b", weight=1.0)]
    run = VirtualRun(SchedulerState([make_node("n0")], quotas=quotas))
    run.submit(*(make_job(f"{tenant}{at}", tenant=tenant) for at in range(8) for tenant in "ba"))
    run.run(1.0)
    assert sum(name.startswith("a") for name in started(run)) == 6


def test_a_past_that_counts_lets_the_newcomer_go_first() -> None:
    run = VirtualRun(SchedulerState([make_node("n0")], settings=SchedulerSettings(half_life=1_000.0)), default_s=1_000.0)
    run.submit(*(make_job(f"old{at}", tenant="old") for at in range(8)))
    run.submit(
        *(make_job(f"o{at}", tenant="old", at=500.0) for at in range(6)),
        *(make_job(f"n{at}", tenant="new", at=501.0) for at in range(6)),
    )
    run.run(1_001.0)
    assert sum(name.startswith("n") for name in started(run)) == 6


@pytest.mark.parametrize(
    "change", [*({"tenant": name} for name in ("", "a//b", "/a", "a/", " ")), {"weight": 0.0}, {"limit": {"H100": -1.0}}]
)
def test_a_quota_that_cannot_be_is_refused(change: dict) -> None:
    with pytest.raises(UsageError, match="no such quota"):
        Quota(**{"tenant": "a", **change})
