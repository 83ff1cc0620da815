"""One job file on two kinds of devices in one pool: the same program, other precision, collectives, visibility, environment."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.step import Needs, StepResult, Workers
from bedplate.app.toolchain.train.step import plan, run
from bedplate.compute.inventory import emulated, this_node
from bedplate.core.errors import ResourcesError
from bedplate.core.measurement import Provenance
from bedplate.core.workload import Gang, Resources, Task, TaskState
from bedplate.engines.local.engine import LocalEngine
from bedplate.toolchain.train.settings import Precision
from tests.engines.seen import seen_by
from tests.training_run import Heard, make_context, make_settings

STEPS = 4
TOLERANCE = 0.01
"""Relative: bf16 against fp32 over four steps of a model of 60,000 weights."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """A pool of two processors and two emulated devices."""
    monkeypatch.setenv(emulated.COUNT_VARIABLE, "2")
    node = this_node()
    engine = LocalEngine(tmp_path / "engine", node.with_cores((node.cores * 2)[:2]))
    yield engine
    engine.close()


def trained(engine: LocalEngine, folder: Path, accelerator: str) -> tuple[StepResult, Heard]:
    context, heard = make_context(engine, folder / accelerator)
    context = replace(context, needs=Needs(workers=Workers(want=2, min=2), accelerator=accelerator))
    settings = make_settings(folder, steps=STEPS, precision=Precision.BF16)
    assert any(word in "\n".join(plan(settings, context)) for word in ("processors", emulated.MODEL))
    return run(settings, context), heard


def outputs(result: StepResult) -> dict[str, object]:
    return json.loads(json.dumps(dict(result.outputs)))


def test_the_same_training_file_runs_on_both_kinds(engine: LocalEngine, tmp_path: Path) -> None:
    on_cpu, _ = trained(engine, tmp_path, "cpu")
    on_other, heard = trained(engine, tmp_path, "any")
    cpu, other = outputs(on_cpu), outputs(on_other)
    assert (cpu["backend"], cpu["precision"]) == ("cpu", "bf16")
    assert (other["backend"], other["precision"]) == ("emulated", "fp32")
    assert other["final_loss"] == pytest.approx(cpu["final_loss"], rel=TOLERANCE)
    assert other["perplexity_after"] == pytest.approx(cpu["perplexity_after"], rel=3 * TOLERANCE)
    assert other["final_loss"] != cpu["final_loss"]  # another precision gives other bits
    assert any("do not compute in bf16" in line for line in heard.said)
    assert {item.provenance for item in on_cpu.measurements} == {Provenance.MEASURED}
    assert {item.provenance for item in on_other.measurements} == {Provenance.EMULATED}


def describe(wanted: Resources) -> Task:
    return Task(entry="tests.engines.tasks:describe", resources=wanted)


def test_environment_and_visibility_differ(engine: LocalEngine) -> None:
    on_cpu = describe(Resources())
    on_other = describe(Resources(accelerators=1, accelerator=emulated.MODEL))
    status = engine.wait(engine.submit(Gang(name="g", tasks=(on_cpu, on_other))))
    cpu, other = (seen_by(task).environment for task in status.tasks)
    assert cpu["EMULATED_VISIBLE_DEVICES"] == ""
    assert other["EMULATED_VISIBLE_DEVICES"] in ("0", "1")
    assert "ALTCCL_BUFFER_BYTES" not in cpu
    assert other["ALTCCL_BUFFER_BYTES"] == "1048576"


def test_a_gang_over_two_kinds_is_refused_by_its_workers(engine: LocalEngine, tmp_path: Path) -> None:
    entry = "tests.app.toolchain.train.two_kinds_worker:meet"
    kinds = (Resources(), Resources(accelerators=1, accelerator=emulated.MODEL))
    gang = Gang(name="mixed", tasks=tuple(Task(entry=entry, resources=wanted) for wanted in kinds))
    status = engine.wait(engine.submit(gang), 60)
    errors = [json.dumps(task.result) + task.message for task in status.tasks]
    assert all("several kinds" in error and "rank 1: emulated" in error for error in errors), errors


def test_gangs_on_each_kind_meet_over_their_own_collectives(engine: LocalEngine) -> None:
    entry = "tests.app.toolchain.train.two_kinds_worker:meet"
    for wanted, library in ((Resources(), "cpu:gloo"), (Resources(accelerators=1), "cpu:altccl")):
        gang = Gang(name="alike", tasks=(Task(entry=entry, resources=wanted),) * 2)
        status = engine.wait(engine.submit(gang), 60)
        assert [task.state for task in status.tasks] == [TaskState.DONE] * 2, [task.message for task in status.tasks]
        assert [task.result for task in status.tasks] == [{"sum": 3.0, "library": library}] * 2


def test_more_devices_of_a_kind_than_there_are_fall_back_to_processors(engine: LocalEngine, tmp_path: Path) -> None:
    node = engine.resources()[0]
    other = LocalEngine(tmp_path / "one", replace(node, devices=node.devices[:-1]))  # one emulated device for two workers
    try:
        result, _ = trained(other, tmp_path, "any")
        assert outputs(result)["backend"] == "cpu"
        with pytest.raises(ResourcesError):
            trained(other, tmp_path, "emulated")
    finally:
        other.close()
