"""What holds whatever arrives: random clusters, tenants and jobs in virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Preempt, Refuse
from bedplate.compute.scheduler.job import WHOLE, Job, Topology
from bedplate.compute.scheduler.jobs.entry import Phase
from bedplate.compute.scheduler.quota.tenants import DeviceType, Quota
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from tests.compute.scheduler.clusters import make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun

TENANTS = ("a", "b/x", "b/y", "c")
HORIZON_S = 1e7


def drawn_state(draw: random.Random, **options: Any) -> SchedulerState:
    nodes = [
        make_node(f"n{at}", draw.choice((1, 2, 4)), draw.choice(("H100", "L40")), cores=16, leaf=f"leaf{at // 2}")
        for at in range(draw.randint(1, 5))
    ]
    types = [DeviceType(model="H100", units=2.0, speed={"training": 2.0}), DeviceType(model="L40")]
    quotas = []
    if draw.random() < 0.7:
        quotas = [
            Quota(tenant="a", guaranteed={"H100": draw.randint(0, 4), "any": draw.randint(0, 3)}, limit={"any": 8}),
            Quota(tenant="b", guaranteed={"L40": draw.randint(0, 4)}, weight=2.0),
            Quota(tenant="b/x", guaranteed={"L40": 1}, limit={"cpu": 12}),
        ]
    known: dict[str, Any] = {"aging": 500.0, "least_run": draw.choice((0.0, 30.0)), "reservations": draw.choice((1, 4))}
    return SchedulerState(nodes, types, quotas, SchedulerSettings(**{**known, **options}))


def drawn_job(draw: random.Random, name: str, at: float) -> tuple[Job, float]:
    """A job, and how long it really takes."""
    kind = draw.random()
    workers = draw.choice((1, 1, 1, 2, 3, 4))
    request: dict[str, Any] = {"devices": draw.choice((1, 1, 2, 4)), "cpu_milli": draw.choice((500, 1_000, 3_000))}
    if kind < 0.2:
        request = {"devices": 0, "cpu_milli": draw.choice((1_000, 8_000))}
    elif kind < 0.5:
        request = {"devices": 1, "share_milli": draw.choice((200, 500, 700))}
    if draw.random() < 0.3:
        request["min_workers"] = draw.randint(1, workers)
    request["is_gang"] = draw.random() < 0.9
    if request["devices"] and draw.random() < 0.4:
        request["accelerators"] = draw.choice((("H100",), ("L40",), ("L40", "H100")))
    real_s = draw.choice((5.0, 40.0, 200.0, 900.0))
    job = make_job(
        name,
        tenant=draw.choice(TENANTS),
        at=at,
        workers=workers,
        topology=draw.choice(list(Topology)),
        priority=draw.choice((0, 0, 0, 1, 2)),
        expected_s=draw.choice((None, real_s, real_s / 2, 3 * real_s)),
        deadline_s=draw.choice((None, None, at + 500.0)),
        is_preemptible=draw.random() < 0.8,
        grace_s=draw.choice((0.0, 10.0, 60.0)),
        **request,
    )
    return job, real_s


def fingerprint(state: SchedulerState) -> list[object]:
    """Everything that may be seen of a state."""
    entries = [
        (name, entry.phase, entry.allocation, entry.key, sorted(entry.victims), entry.beneficiary, sorted(entry.shrinking))
        for name, entry in state.entries.items()
    ]
    accounts = [
        (path, {key: amount for key, amount in account.items() if amount})
        for path, tenant in state.ledger.tenants.items()
        for account in (tenant.used, tenant.pinned)
    ]
    cluster = state.nodes.cluster
    free = [field.tolist() for field in (*cluster.free, cluster.usable_N)]
    return [entries, accounts, free, [entry.job.id for entry in state.queue], sorted(state.running), sorted(state.going)]


def check(state: SchedulerState) -> None:
    """What must hold at any time."""
    state.nodes.cluster.check_integrity()
    held: dict[tuple[str, int], list[int]] = {}
    used: dict[str, dict[str, int]] = {}
    for entry in state.running.values():
        request, allocation = entry.job.request, entry.allocation
        assert allocation is not None and entry.fewest <= len(allocation.places) <= request.workers
        nodes = {place.node for place in allocation.places}
        assert request.topology is not Topology.SAME_NODE or len(nodes) == 1
        labels = {state.nodes.machines[node].labels["leaf"] for node in nodes}
        assert request.topology is not Topology.SAME_LEAF or len(labels) == 1
        for place in allocation.places:
            models = {state.nodes.machines[place.node].devices[1 + device].model for device in place.devices}
            assert models == ({allocation.model} if request.devices else set())
            assert not request.accelerators or not request.devices or allocation.model in request.accelerators
            for device in place.devices:
                held.setdefault((place.node, device), []).append(request.share_milli)
        for member in entry.tenant.line:
            account = used.setdefault(member.path, {})
            for resource, amount in entry.charge:
                account[resource] = account.get(resource, 0) + amount
    for shares in held.values():
        assert sum(shares) <= WHOLE and (WHOLE not in shares or len(shares) == 1)
    for path, tenant in state.ledger.tenants.items():
        assert {key: amount for key, amount in tenant.used.items() if amount} == {
            key: amount for key, amount in used.get(path, {}).items() if amount
        }
        assert all(tenant.used.get(resource, 0) <= most for resource, most in tenant.limit.items())


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_nothing_is_given_twice_and_every_job_ends(seed: int) -> None:
    draw = random.Random(seed)
    state = drawn_state(draw)
    jobs = [drawn_job(draw, f"j{at:03}", draw.uniform(0.0, 400.0)) for at in range(draw.randint(1, 40))]
    run = VirtualRun(state, {job.id: real_s for job, real_s in jobs})
    run.submit(*(job for job, _ in jobs))
    for when_s in range(0, 20_000, 500):  # as a service that looks again every now and then
        run.at(float(when_s), lambda: None)
    run.run(HORIZON_S, lambda: check(state))
    refused = set(run.names(Refuse))
    assert {job.id for job, _ in jobs} == refused | set(run.ended_s), "a job starved"
    assert not state.entries and max(run.ended_s.values(), default=0.0) < 20_000
    assert all(amount == 0 for tenant in state.ledger.tenants.values() for amount in tenant.used.values())


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_decide_is_pure_and_the_same_for_the_same_state(seed: int) -> None:
    draw = random.Random(seed)
    state = drawn_state(draw)
    run = VirtualRun(state)

    def look() -> None:
        before = fingerprint(state)
        first = decide(state, run.now)
        assert decide(state, run.now) == first
        assert fingerprint(state) == before
        assert all(decision.job_id in state.entries for decision in first)

    jobs = [drawn_job(draw, f"j{at:03}", float(draw.randint(0, 300))) for at in range(25)]
    run.submit(*(job for job, _ in jobs))
    run.run(500.0, look)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_a_new_state_from_the_record_decides_the_same(seed: int) -> None:
    """A restart: jobs in the order in which they came, what ran starts where it ran, what was asked to end was asked."""
    draw = random.Random(seed)
    nodes, settings_ = [make_node(f"n{at}", 4, leaf=f"l{at}") for at in range(3)], SchedulerSettings(aging=500.0)
    quotas = [Quota(tenant="a", guaranteed={"H100": 4})]
    state = SchedulerState(nodes, (), quotas, settings_)
    run = VirtualRun(state)
    jobs = [drawn_job(draw, f"j{at:03}", float(at)) for at in range(25)]
    run.submit(*(job for job, _ in jobs if not job.request.accelerators))
    run.run(60.0)
    again = SchedulerState(nodes, (), quotas, settings_)
    for entry in state.entries.values():
        again.submit(entry.job, check=False)
    for job_id, entry in state.running.items():
        assert entry.allocation is not None
        again.started(job_id, entry.allocation, entry.started_s)
        again.entry(job_id).resized_s = entry.resized_s
    for job_id, entry in state.going.items():
        if entry.phase is Phase.PREEMPTING:
            assert entry.ends_by_s is not None
            again.preempting(job_id, entry.beneficiary, entry.ends_by_s - entry.job.grace_s)
    if not any(entry.shrinking or entry.preempted_s for entry in state.entries.values()):
        assert decide(again, run.now) == decide(state, run.now)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_a_guarantee_is_reached_whatever_guests_hold(seed: int) -> None:
    draw = random.Random(seed)
    nodes = [make_node(f"n{at}", 4) for at in range(draw.randint(1, 4))]
    devices = 4 * len(nodes)
    guaranteed = draw.randint(1, devices)
    run = VirtualRun(SchedulerState(nodes, quotas=[Quota(tenant="owner", guaranteed={"H100": guaranteed})]), default_s=1e6)
    run.submit(
        *(
            make_job(f"g{at}", tenant=draw.choice("xyz"), devices=draw.choice((1, 1, 2, 4)), priority=draw.randint(0, 5))
            for at in range(3 * devices)
        )
    )
    run.submit(*(make_job(f"o{at}", tenant="owner", at=100.0 + draw.uniform(0, 50)) for at in range(guaranteed)))
    run.run(1_000.0)
    assert all(f"o{at}" in run.started_s for at in range(guaranteed))


@pytest.mark.parametrize("order", [("age",), ("priority", "fair", "deadline", "age"), ("priority", "shortest", "age")])
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1_000_000))
def test_a_large_gang_starts_in_bounded_time_while_small_jobs_keep_coming(order: tuple[str, ...], seed: int) -> None:
    draw = random.Random(seed)
    nodes = [make_node(f"n{at}", 4) for at in range(3)]
    state = SchedulerState(nodes, settings=SchedulerSettings(aging=300.0, order=order, preemption=draw.random() < 0.5))
    jobs = []
    for at in range(250):
        real_s = draw.uniform(20.0, 120.0)
        expected_s = draw.choice((None, real_s, real_s / 3, 2 * real_s))
        priority = draw.choice((0, 0, 1))
        tenant = draw.choice(("s", "t", "large"))
        jobs.append((make_job(f"s{at:04}", tenant=tenant, at=7.0 * at, expected_s=expected_s, priority=priority), real_s))
    run = VirtualRun(state, {job.id: real_s for job, real_s in jobs})
    run.submit(*(job for job, _ in jobs), make_job("gang", tenant="large", at=50.0, workers=3, devices=4))
    run.run(1_700.0)
    assert run.started_s["gang"] < 50.0 + 3 * 300.0 + 300.0  # aging over one level of priority, and what runs then


def test_preemption_comes_to_rest() -> None:
    """Nobody is preempted for ever, though three tenants want more than there is at every priority."""
    draw = random.Random(7)
    quotas = [Quota(tenant=name, guaranteed={"H100": 3}) for name in "abc"]
    run = VirtualRun(SchedulerState([make_node("n0", 4), make_node("n1", 4)], quotas=quotas), default_s=1e6)
    run.submit(
        *(
            make_job(
                f"j{at}", tenant=draw.choice("abc"), at=20.0 * at, devices=draw.choice((1, 2)), priority=draw.randint(0, 3)
            )
            for at in range(40)
        )
    )
    for when_s in range(0, 20_000, 500):
        run.at(float(when_s), lambda: None)
    run.run(10_000.0)
    before = len(run.names(Preempt))
    run.run(20_000.0)
    assert len(run.names(Preempt)) == before
