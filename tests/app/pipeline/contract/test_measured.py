"""A step's measurements say the same of one machine, whichever step made them, and count what they ran on."""

from dataclasses import replace
from pathlib import Path

import pytest

import bedplate
from bedplate.app.pipeline.contract.measured import Extent, devices_of, extent_of, measured_in
from bedplate.core.devices import Device, Node
from bedplate.core.errors import UsageError
from bedplate.core.workload import TaskState, TaskStatus
from tests.app.pipeline.contract import test_step_contract as looking


def node(name: str) -> Node:
    cpus = tuple(
        Device(id=f"cpu:{numa}", kind="cpu", vendor="amd", model="EPYC", memory_bytes=1, cores=(2 * numa, 2 * numa + 1))
        for numa in range(2)
    )
    card = Device(id="cuda:0", kind="gpu", vendor="nvidia", model="H100", memory_bytes=1, cores=(0, 1))
    return Node(id=name, devices=(*cpus, card), memory_bytes=1)


def task(rank: int, where: str, cores: tuple[int, ...], devices: tuple[str, ...] = ()) -> TaskStatus:
    return TaskStatus(rank=rank, state=TaskState.DONE, node=where, cores=cores, devices=devices)


def test_devices_are_counted_over_nodes_and_each_once() -> None:
    tasks = [task(0, "a", (0,)), task(1, "a", (1,)), task(2, "a", (3,)), task(3, "b", (2,), ("cuda:0",))]
    assert devices_of(tasks, [node("a"), node("b")]) == {
        ("a", "cpu:0"),
        ("a", "cpu:1"),
        ("b", "cpu:1"),
        ("b", "cuda:0"),
    }


def test_the_extent_of_tasks_is_that_of_their_nodes_and_devices() -> None:
    tasks = [task(0, "a", (0,)), task(1, "a", (1,)), task(2, "b", (0,))]
    assert extent_of(tasks, [node("a"), node("b")]) == Extent(num_nodes=2, num_devices=2)
    assert extent_of([], [node("a")]) == Extent()


def test_a_measurement_has_the_registered_unit_and_hardware(tmp_path: Path) -> None:
    looking.SEEN.clear()
    bedplate.run(looking.PIPELINE, state=str(tmp_path), uses=looking.USES)
    context = replace(looking.SEEN[0], busy_frac=lambda: 0.25)
    tasks = [task(rank, where, (0,)) for rank, where in enumerate(("a", "b", "b"))]
    (made,) = measured_in(context, {"tokens_per_s": 3}, scale="3 workers", source="test", tasks=tasks)
    assert (made.value, made.unit, made.num_nodes, made.busy_frac) == (3.0, "tokens/s", 2, 0.25)
    assert made.hardware.endswith(" core")
    assert made.at_s > 0
    with pytest.raises(UsageError, match="not a registered measurement id"):
        measured_in(context, {"tokens_an_hour": 3}, scale="", source="test")


def test_a_step_on_this_machine_knows_whether_the_machine_was_busy(tmp_path: Path) -> None:
    looking.SEEN.clear()
    bedplate.run(looking.PIPELINE, state=str(tmp_path), uses=looking.USES)
    busy_frac = looking.SEEN[0].busy_frac()
    assert busy_frac is not None
    assert 0 <= busy_frac <= 1
