"""Which model a job runs on, memory, labels, shares, nodes of several models, deadlines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedplate.compute.scheduler.decide import decide
from bedplate.compute.scheduler.decision import Refuse, Start
from bedplate.compute.scheduler.quota.tenants import DeviceType
from bedplate.compute.scheduler.state import SchedulerState
from bedplate.core.devices import DeviceHealth, HealthState
from tests.compute.scheduler.clusters import GIB, make_job, make_node
from tests.compute.scheduler.virtual_run import VirtualRun

TYPES = [
    DeviceType(model="H100", memory_bytes=80 * GIB, units=4.0, speed={"training": 4.0}),
    DeviceType(model="L40", memory_bytes=48 * GIB, speed={"training": 1.0}),
]


def mixed() -> SchedulerState:
    return SchedulerState([make_node("h", 2), make_node("l", 2, model="L40")], TYPES)


def models(run: VirtualRun) -> dict[str, str]:
    return {decision.job_id: decision.allocation.model for _, decision in run.decisions if isinstance(decision, Start)}


def test_the_faster_model_is_taken_and_the_slower_one_when_that_is_full() -> None:
    run = VirtualRun(mixed(), default_s=1_000.0)
    run.submit(*(make_job(f"j{at}", at=float(at)) for at in range(3)))
    run.run(10.0)
    assert models(run) == {"j0": "H100", "j1": "H100", "j2": "L40"}


def test_work_that_is_as_fast_on_a_cheap_model_leaves_the_dear_one() -> None:
    run = VirtualRun(mixed())
    run.submit(make_job("j", kind="science"))
    run.run(1.0)
    assert models(run) == {"j": "L40"}


def test_the_order_of_preference_decides_among_equally_fast_models() -> None:
    run = VirtualRun(mixed())
    run.submit(make_job("j", kind="science", accelerators=("H100", "L40")))
    run.run(1.0)
    assert models(run) == {"j": "H100"}


@pytest.mark.parametrize(("busy_s", "model"), [(50.0, "H100"), (5_000.0, "L40")])
def test_a_job_waits_for_the_faster_model_if_it_then_ends_earlier(busy_s: float, model: str) -> None:
    run = VirtualRun(mixed(), {"busy": busy_s})
    run.submit(make_job("busy", devices=2, accelerators=("H100",), expected_s=busy_s * 4))
    run.submit(make_job("j", at=1.0, expected_s=1_000.0))
    run.run(100.0)
    assert models(run)["j"] == model


def test_a_gang_runs_on_one_model() -> None:
    run = VirtualRun(mixed())
    run.submit(make_job("gang", workers=3))
    run.run(1.0)
    assert run.names(Refuse) == ["gang"]


def test_memory_chooses_the_model_and_a_share_has_a_share_of_it() -> None:
    run = VirtualRun(mixed())
    run.submit(make_job("large", kind="science", device_memory_bytes=60 * GIB))
    run.submit(make_job("half", kind="science", share_milli=500, device_memory_bytes=30 * GIB))
    run.submit(make_job("huge", device_memory_bytes=100 * GIB))
    run.run(1.0)
    assert models(run) == {"large": "H100", "half": "H100"} and run.names(Refuse) == ["huge"]


def test_two_halves_share_a_device_and_a_whole_one_is_nobody_elses() -> None:
    state = SchedulerState([make_node("n", 2)])
    run = VirtualRun(state)
    run.submit(*(make_job(f"half{at}", share_milli=500) for at in range(3)), make_job("whole", at=1.0))
    run.run(2.0)
    devices = [state.entry(f"half{at}").taken[0].devices for at in range(3)]
    assert len(set(devices)) == 2 and "whole" not in run.started_s


def test_labels_choose_nodes() -> None:
    run = VirtualRun(SchedulerState([make_node("n0"), make_node("n1", zone="east")]))
    run.submit(make_job("east", labels={"zone": "east"}), make_job("west", labels={"zone": "west"}))
    run.run(1.0)
    assert run.names(Refuse) == ["west"]
    assert run.state.entry("east").allocation.places[0].node == "n1"  # type: ignore[union-attr]


def test_a_node_of_two_models_gives_devices_of_one() -> None:
    node = make_node("n", 2)
    second = make_node("n", 2, model="L40")
    others = tuple(replace(device, id=f"other:{device.id}") for device in second.devices if device.kind != "cpu")
    state = SchedulerState([replace(node, devices=node.devices + others)], TYPES)
    run = VirtualRun(state)
    run.submit(make_job("pair", devices=2, accelerators=("L40",)))
    run.run(1.0)
    assert state.entry("pair").taken[0].devices == (2, 3)


def test_failed_devices_and_drained_nodes_get_nothing() -> None:
    node = make_node("n", 2)
    failed = replace(node.devices[1], health=DeviceHealth(state=HealthState.FAILED))
    state = SchedulerState([replace(node, devices=(node.devices[0], failed, node.devices[2])), make_node("drained")])
    state.node_usable("drained", False, "maintenance")
    for at in range(2):
        state.submit(make_job(f"j{at}"))
    (start,) = decide(state, 0.0)
    assert isinstance(start, Start) and start.allocation.places[0].devices == (1,)


def test_a_model_that_comes_later_is_used() -> None:
    run = VirtualRun(SchedulerState([make_node("n0", 1)]))
    run.submit(*(make_job(f"j{at}") for at in range(2)))
    run.at(5.0, lambda: run.state.node_added(make_node("new", model="L40")))
    run.run(10.0)
    assert models(run)["j1"] == "L40"


def test_a_job_whose_laxity_runs_out_goes_before_its_equals() -> None:
    run = VirtualRun(SchedulerState([make_node("n0", 1)]), default_s=100.0)
    run.submit(make_job("first"), *(make_job(f"b{at}", tenant="b", at=1.0, expected_s=100.0) for at in range(5)))
    run.submit(make_job("urgent", at=2.0, expected_s=100.0, deadline_s=700.0))
    run.run(1_000.0)
    assert run.started_s["urgent"] == 100.0


def test_a_job_that_cannot_meet_its_deadline_any_more_does_not_go_first() -> None:
    run = VirtualRun(SchedulerState([make_node("n0", 2)]), {"long": 1_000.0}, default_s=100.0)
    run.submit(make_job("first"), make_job("long", tenant="b"), make_job("second", tenant="c", at=1.0, expected_s=100.0))
    run.submit(make_job("late", tenant="b", at=2.0, expected_s=100.0, deadline_s=150.0))
    run.run(150.0)
    assert "second" in run.started_s and "late" not in run.started_s


def test_a_lost_node_takes_its_jobs_with_it_and_gangs_start_again_as_a_whole() -> None:
    state = SchedulerState([make_node("n0"), make_node("n1")])
    run = VirtualRun(state)
    run.submit(make_job("gang", workers=2, devices=8))
    run.run(1.0)
    (lost,) = state.node_lost("n1")
    assert lost.id == "gang" and decide(state, 2.0) == ()
    state.requeued("gang", 3.0)
    assert decide(state, 3.0) == ()
    state.node_added(make_node("n1"))
    (start,) = decide(state, 4.0)
    assert isinstance(start, Start) and len(start.allocation.places) == 2
    assert all(amount == 0 for amount in state.ledger.tenant("a").used.values())
