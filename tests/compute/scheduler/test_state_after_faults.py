"""The state when what it is told does not fit what it knows: nodes that are gone, places that others hold, odd quotas."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bedplate.compute.scheduler.decide import apply, decide, shrunk
from bedplate.compute.scheduler.decision import Grow, Refuse, Shrink
from bedplate.compute.scheduler.entry import Phase
from bedplate.compute.scheduler.job import Allocation, WorkerPlace
from bedplate.compute.scheduler.settings import SchedulerSettings
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.compute.scheduler.tenants import Quota
from bedplate.core.errors import BedplateError, NotFoundError, UsageError
from tests.compute.scheduler.clusters import make_job, make_node


def allocation(*places: tuple[str, tuple[int, ...]]) -> Allocation:
    return Allocation(model="H100", places=tuple(WorkerPlace(node=node, devices=devices) for node, devices in places))


@pytest.mark.parametrize(
    ("places", "error"),
    [
        (allocation(("gone", (0,))), NotFoundError),
        (allocation(("n0", (1,)), ("gone", (0,))), NotFoundError),
        (allocation(("n0", (0,))), UsageError),
        (allocation(("n0", (1,)), ("n0", (1,))), UsageError),
        (allocation(("n0", (7,))), UsageError),
        (allocation(("n0", (0, 1))), UsageError),
    ],
    ids=["node", "second_node", "taken", "twice", "no_such_device", "number"],
)
def test_a_start_that_cannot_be_changes_nothing(places: Allocation, error: type[BedplateError]) -> None:
    state = SchedulerState([make_node("n0", devices=2)])
    state.submit(make_job("holds"))
    state.started("holds", allocation(("n0", (0,))), 0.0)
    state.submit(make_job("w", at=1.0), check=False)
    charged = state.ledger.tenant("a").used.copy()
    with pytest.raises(error):
        state.started("w", places, 1.0)
    assert state.entry("w").phase is Phase.WAITING
    assert state.ledger.tenant("a").used == charged
    state.nodes.cluster.check_integrity()
    (start,) = decide(state, 1.0)
    apply(state, start, 1.0)
    assert set(state.running) == {"holds", "w"}


def elastic_over_two_nodes() -> SchedulerState:
    state = SchedulerState([make_node("n0", devices=2), make_node("n1", devices=2)], settings=SchedulerSettings(least_run=0.0))
    state.submit(make_job("x"))
    state.started("x", allocation(("n1", (0,))), 0.0)
    state.submit(make_job("el", workers=4, min_workers=1))
    state.started("el", allocation(("n0", (0,)), ("n0", (1,)), ("n1", (1,))), 0.0)
    state.ended("x", 1.0)
    return state


def test_a_job_that_lost_a_node_is_not_grown_until_it_waits_again() -> None:
    state = elastic_over_two_nodes()
    assert [job.id for job in state.node_lost("n0")] == ["el"]
    assert not [item for item in decide(state, 2.0) if isinstance(item, Grow)]
    state.requeued("el", 3.0)
    (start,) = decide(state, 3.0)
    apply(state, start, 3.0)
    assert [place.node for place in state.running["el"].allocation.places] == ["n1", "n1"]  # type: ignore[union-attr]
    assert state.ledger.tenant("a").used["H100"] == 2000


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_job_that_lost_a_node_can_give_back_what_it_was_asked_for(comes_back: bool) -> None:
    state = elastic_over_two_nodes()
    held = state.entry("el").allocation
    assert held is not None
    apply(state, Shrink(job_id="el", released=held.places[1:], beneficiary="other", reason=""), 2.0)
    state.node_lost("n0")
    if comes_back:
        state.node_added(make_node("n0", devices=2))
    state.resized("el", shrunk(state, "el"), 3.0)
    assert state.running["el"].num_workers == 1
    state.ended("el", 4.0)
    state.nodes.cluster.check_integrity()
    assert not any(state.ledger.tenant("a").used.values())


def test_a_resize_that_cannot_be_changes_nothing() -> None:
    state = elastic_over_two_nodes()
    held = state.entry("el").allocation
    assert held is not None
    wrong = Allocation(model="H100", places=(*held.places, WorkerPlace(node="n1", devices=(1,))))
    with pytest.raises(UsageError):
        state.resized("el", wrong, 2.0)
    assert state.running["el"].allocation == held
    assert [type(item) for item in decide(state, 2.0)] == [Grow]


def test_workers_at_equal_places_are_told_apart() -> None:
    state = SchedulerState([make_node("n0")], settings=SchedulerSettings(least_run=0.0))
    state.submit(make_job("el", devices=0, workers=6, min_workers=1))
    place = WorkerPlace(node="n0", devices=())
    state.started("el", Allocation(model="", places=(place,) * 4), 0.0)
    apply(state, Shrink(job_id="el", released=(place,) * 2, beneficiary="other", reason=""), 1.0)
    apply(state, Shrink(job_id="el", released=(place,), beneficiary="third", reason=""), 1.0)
    state.resized("el", shrunk(state, "el"), 2.0)
    assert state.running["el"].num_workers == 1
    state.resized("el", Allocation(model="", places=(place,) * 5), 3.0)
    assert state.ledger.tenant("a").used["cpu"] == 5000
    state.nodes.cluster.check_integrity()


@pytest.mark.parametrize("is_usable_before", [False, True])
def test_capacity_after_a_node_was_lost(is_usable_before: bool) -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    state.node_usable("n0", is_usable_before, "drained")
    state.node_lost("n0")
    assert state.nodes.capacity.of("H100") == 8000
    state.node_added(make_node("n0"))
    assert state.nodes.capacity.of("H100") == 16000


def test_nearest_request_looks_at_nodes_that_are_there() -> None:
    state = SchedulerState([make_node("big0", cores=128), make_node("small", devices=2, cores=16)])
    state.node_lost("big0")
    state.submit(make_job("wide", devices=8))
    state.submit(make_job("many", cpu_milli=64_000))
    wide, many = decide(state, 0.0)
    assert isinstance(wide, Refuse) and wide.nearest == "2 accelerators a worker"
    assert isinstance(many, Refuse) and many.nearest == "16 cores a worker"


@pytest.mark.parametrize(
    "words",
    [
        {"weight": math.nan},
        {"weight": math.inf},
        {"guaranteed": {"H100": math.nan}},
        {"guaranteed": {"H100": math.inf}},
        {"limit": {"H100": 1.0, "any": math.nan}},
        {"limit": {"H100": -1.0}},
    ],
    ids=str,
)
def test_quotas_are_finite(words: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Quota(tenant="a", **words)
