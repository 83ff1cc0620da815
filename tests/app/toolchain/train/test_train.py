"""Training survives its workers, to the same bits; real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.app.pipeline.contract.step import StepResult
from bedplate.app.toolchain.train.journal import TrainingJournal
from bedplate.app.toolchain.train.step import plan, run
from bedplate.compute.inventory import this_node
from bedplate.core.errors import IntegrityError, ResourcesError, TaskError, UsageError
from bedplate.core.workload import Gang
from bedplate.toolchain.data.tokenizer import tokenizer_digest
from bedplate.toolchain.models.card import ModelKind, Origin, check_card, read_card, weights_digest
from bedplate.toolchain.train.messages import Loaded
from bedplate.toolchain.train.settings import (
    CheckpointPlace,
    CheckpointSettings,
    DrillSettings,
    EvaluationSettings,
    Precision,
    TrainSettings,
)
from tests.failing_worker import Fault, FaultyEngine
from tests.training_run import failures, make_context, make_micro_model, make_settings, make_shards, measured

STEPS = 6


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaultyEngine]:
    engine = FaultyEngine(tmp_path / "engine", this_node())
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the micro model and the shards of all tests lie."""
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[float], bytes, StepResult]:
    """Losses, weights and result of a run in which nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    engine = FaultyEngine(folder / "engine", this_node())
    try:
        context, _ = make_context(engine, folder / "step")
        result = run(make_settings(inputs, steps=STEPS), context)
    finally:
        engine.close()
    return losses(folder / "step"), weights(folder / "step"), result


def losses(directory: Path) -> list[float]:
    return [step.loss for step in journal(directory).steps()]


def journal(directory: Path) -> TrainingJournal:
    """The journal of the run whose result is in the step's directory."""
    run = json.loads((directory / "model" / "training.json").read_text())["run"]
    return TrainingJournal(directory / "journal.jsonl", run)


def weights(directory: Path) -> bytes:
    return (directory / "model" / "model.safetensors").read_bytes()


def test_training_lowers_loss_and_perplexity(undisturbed: tuple[list[float], bytes, StepResult]) -> None:
    found, _, result = undisturbed
    assert len(found) == STEPS
    values = measured(result)
    assert values["final_loss"] == found[-1] < found[0]
    assert values["ppl_after"] < values["ppl_before"]
    assert 0 < values["goodput_frac"] <= 1
    assert "kill_detect_s" not in {item.id for item in result.measurements}


def test_the_result_is_a_folder_that_transformers_loads_with_its_lineage(
    undisturbed: tuple[list[float], bytes, StepResult], inputs: Path
) -> None:
    from transformers import LlamaForCausalLM

    folder = undisturbed[2].path
    assert folder is not None
    assert LlamaForCausalLM.from_pretrained(folder).num_parameters() > 0
    assert (folder / "tokenizer.json").is_file()
    card = read_card(folder)
    assert card is not None and card.kind is ModelKind.TRAINED and card.details["precision"] == "fp32"
    assert card.base == Origin(path=str(inputs / "base"), digest=weights_digest(inputs / "base"))
    check_card(folder, verify=True)
    training = json.loads((folder / "training.json").read_text())
    assert training["world_size"] == 2
    assert [item["kind"] for item in training["collectives"]] == ["all-reduce", "all-gather"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(what="kill", rank=1, step=1, phase="forward"),
        Fault(what="kill", rank=0, step=4, phase="backward", micro_batch=2),
        Fault(what="kill", rank=1, step=5, phase="exchange"),
        Fault(what="tear", rank=0, step=4, phase="exchange"),
    ],
    ids=["before-any-checkpoint", "inside-an-accumulation-window", "in-a-collective", "while-writing-a-checkpoint"],
)
def test_a_killed_worker_changes_no_bit_of_the_outcome(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, fault: Fault, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    engine.fault = fault
    context, heard = make_context(engine, tmp_path / "step")
    result = run(make_settings(inputs, steps=STEPS), context)
    assert losses(tmp_path / "step") == undisturbed[0]
    assert weights(tmp_path / "step") == undisturbed[1]
    (failure,) = failures(result)
    assert (failure.kind, failure.rank) == ("signal", fault.rank)
    assert failure.steps_repeated in (0, 1, 2)
    assert "train.failure" in {event.kind for event in heard.events}


def test_a_kill_in_a_later_epoch_changes_no_bit(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    """700 tokens are 21 windows: a step of 8 takes the third epoch's first window in step 6."""
    data = make_shards(tmp_path / "short", train_tokens=700)
    settings = make_settings(inputs, steps=8, data=str(data))
    whole, _ = make_context(engine, tmp_path / "whole")
    killed, _ = make_context(engine, tmp_path / "killed")
    assert failures(run(settings, whole)) == []
    engine.fault = Fault(what="kill", rank=1, step=7)
    assert len(failures(run(settings, killed))) == 1
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    rates = {name: [step.learning_rate for step in journal(tmp_path / name).steps()] for name in ("killed", "whole")}
    assert rates["killed"] == rates["whole"]


def test_untied_embeddings_survive_a_kill_to_the_same_bits(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    model = make_micro_model(tmp_path / "untied", tied=False)
    settings = make_settings(inputs, steps=STEPS, model=str(model))
    whole, _ = make_context(engine, tmp_path / "whole")
    killed, _ = make_context(engine, tmp_path / "killed")
    assert failures(run(settings, whole)) == []
    engine.fault = Fault(what="kill", rank=1, step=4)
    assert len(failures(run(settings, killed))) == 1
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_a_drill_is_detected_within_a_second_and_measured(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    settings = make_settings(inputs, steps=60, drill=DrillSettings(kill=1, at_step=3), restarts=0)
    result = run(settings, context)
    values = measured(result)
    assert values["kill_detect_s"] < 1
    assert values["kill_detect_s"] < values["resume_forward_s"] < values["resume_step_s"] < 35
    assert values["steps_repeated"] in (0, 1, 2)
    (failure,) = failures(result)
    assert failure.kind == "drill"
    assert sum(failure.phases_s.values()) == pytest.approx(failure.resume_step_s)
    assert {figure.id for figure in result.figures} == {"train_loss", "train_recovery"}
    assert any("killing worker 1" in line for line in heard.said)
    assert any("worker 1 was lost after step" in line and "steps repeated" in line for line in heard.said)
    assert {"train_loss", "train_tokens_per_s"} <= {sample.name for sample in heard.samples}


def test_a_worker_that_hangs_is_ended_and_training_goes_on(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    engine.fault = Fault(what="hang", rank=1, step=3)
    context, _ = make_context(engine, tmp_path / "step")
    result = run(make_settings(inputs, steps=STEPS, hang_timeout=3.0), context)
    (failure,) = failures(result)
    assert (failure.kind, failure.rank) == ("hung", 1)
    assert weights(tmp_path / "step") == undisturbed[1]


def test_a_healthy_worker_that_waits_is_not_blamed_for_a_hang(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    engine.fault = Fault(what="stop", rank=1, step=3, phase="backward", micro_batch=3)
    context, heard = make_context(engine, tmp_path / "step")
    result = run(make_settings(inputs, steps=STEPS, hang_timeout=3.0), context)
    (failure,) = failures(result)
    assert (failure.kind, failure.rank) == ("hung", 1)
    assert any("worker 1 ended (hung): silent while rank 0 waited for it" in line for line in heard.said)
    assert weights(tmp_path / "step") == undisturbed[1]


def test_a_run_that_keeps_failing_ends_with_the_ranks_own_error(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    engine.fault = Fault(what="raise", rank=1, step=3, times=9)
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(TaskError, match=r"rank 1.*injected failure") as caught:
        run(make_settings(inputs, steps=STEPS, restarts=1), context)
    assert "Traceback" in str(caught.value) or "failing_worker.py" in str(caught.value)
    assert engine.num_submitted == 2
    assert not engine.statistics().tasks_running


def test_damaged_memory_is_passed_over_for_the_step_before(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    def flip_a_byte_of_each_generation_that_holds_step_4(gang: Gang) -> None:
        descriptor = gang.tasks[0].inherited["checkpoint-0001"]
        for generation in (0, 1):
            if b'"step":4' in os.pread(descriptor, 65_536, generation * 65_536):
                area = (os.fstat(descriptor).st_size - 2 * 65_536) // 2
                place = 2 * 65_536 + generation * area + 1000
                os.pwrite(descriptor, bytes([os.pread(descriptor, 1, place)[0] ^ 1]), place)

    engine.before_restart = flip_a_byte_of_each_generation_that_holds_step_4
    engine.fault = Fault(what="kill", rank=0, step=5)
    context, heard = make_context(engine, tmp_path / "step")
    settings = make_settings(inputs, steps=STEPS, checkpoint=CheckpointSettings(every=2, disk_every=STEPS))
    result = run(settings, context)
    (failure,) = failures(result)
    assert failure.steps_repeated == 2
    (passed_over,) = {event.message for event in heard.events if event.kind == "checkpoint.passed_over"}
    assert "damaged in memory" in passed_over
    (said,) = (line for line in heard.said if "checkpoint of step" in line)
    assert said.startswith("checkpoint of step 4 cannot be used (in memory: ") and said.endswith("; trying an older one")
    assert "resumed from step 2 in memory" in heard.said
    assert weights(tmp_path / "step") == undisturbed[1]


def test_a_start_from_nothing_although_checkpoints_existed_is_said(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    def flip_a_byte_of_each_generation(gang: Gang) -> None:
        descriptor = gang.tasks[0].inherited["checkpoint-0001"]
        area = (os.fstat(descriptor).st_size - 2 * 65_536) // 2
        for generation in (0, 1):
            place = 2 * 65_536 + generation * area + 1000
            os.pwrite(descriptor, bytes([os.pread(descriptor, 1, place)[0] ^ 1]), place)

    engine.before_restart = flip_a_byte_of_each_generation
    engine.fault = Fault(what="kill", rank=0, step=5)
    context, heard = make_context(engine, tmp_path / "step")
    run(make_settings(inputs, steps=STEPS, checkpoint=CheckpointSettings(every=2, disk_every=STEPS)), context)
    assert "warning: none of the checkpoints could be used (2 tried); training starts from step 0" in heard.said
    assert not any(line.startswith("resumed") for line in heard.said)
    assert weights(tmp_path / "step") == undisturbed[1]


def test_checkpoints_straight_to_disk_serve_too(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    engine.fault = Fault(what="kill", rank=0, step=4)
    context, heard = make_context(engine, tmp_path / "step")
    settings = make_settings(inputs, steps=STEPS, checkpoint=CheckpointSettings(every=2, in_=CheckpointPlace.DISK))
    run(settings, context)
    assert weights(tmp_path / "step") == undisturbed[1]
    assert any("step 2 in disk" in event.message for event in heard.events)


def test_one_worker_takes_the_same_steps_as_two(
    inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    engine = FaultyEngine(tmp_path / "engine", this_node().with_cores([min(os.sched_getaffinity(0))]))
    try:
        context, heard = make_context(engine, tmp_path / "step", workers=2, least=1)
        run(make_settings(inputs, steps=STEPS), context)
    finally:
        engine.close()
    assert losses(tmp_path / "step") == pytest.approx(undisturbed[0], rel=1e-5)
    assert any("only 1 of 2 workers" in line for line in heard.said)


def test_too_few_slots_are_an_error(inputs: Path, tmp_path: Path) -> None:
    engine = FaultyEngine(tmp_path / "engine", this_node().with_cores([min(os.sched_getaffinity(0))]))
    try:
        context, _ = make_context(engine, tmp_path / "step", workers=2)
        with pytest.raises(ResourcesError):
            run(make_settings(inputs, steps=STEPS), context)
    finally:
        engine.close()


def test_bf16_follows_fp32(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes, StepResult]
) -> None:
    context, _ = make_context(engine, tmp_path / "step")
    run(make_settings(inputs, steps=STEPS, precision=Precision.BF16), context)
    assert losses(tmp_path / "step") == pytest.approx(undisturbed[0], rel=0.01)
    assert losses(tmp_path / "step") != undisturbed[0]


def test_an_existing_model_is_not_trained_again(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    context, _ = make_context(engine, tmp_path / "step", workers=1)
    settings = make_settings(inputs, steps=2, workers=1)
    first, second = run(settings, context), run(settings, context)
    assert engine.num_submitted == 1
    assert {item.id: item.value for item in second.measurements} == {item.id: item.value for item in first.measurements}
    assert not (tmp_path / "step" / "checkpoints").exists()


_SUPERVISOR = """
import dataclasses, os, signal, sys
from pathlib import Path
from tests.training_run import failures, make_context, make_settings
from bedplate.app.toolchain.train.step import run
from bedplate.core.reporter import CallbackReporter
from bedplate.app.wiring import local_engine
from bedplate.toolchain.train.settings import CheckpointSettings
inputs, place, die = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "die"

def die_once_a_copy_is_on_disk():
    if die and list(place.glob("step/checkpoints/step-*/rank-1-of-2.record")):
        os.kill(os.getpid(), signal.SIGKILL)

engine = local_engine(place / "engine")
context, _ = make_context(engine, place / "step")
context = dataclasses.replace(context, reporter=CallbackReporter(on_check=die_once_a_copy_is_on_disk))
run(make_settings(inputs, steps=60, checkpoint=CheckpointSettings(every=5, disk_every=5)), context)
engine.close()
"""


def _supervise(inputs: Path, place: Path, end: str) -> int:
    """Train in a process of its own, which kills itself when `end` is `die`; returns its exit code."""
    place.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _SUPERVISOR, str(inputs), str(place), end]
    return subprocess.run(command, env=environment, timeout=200, check=False).returncode


def test_a_killed_supervisor_resumes_from_disk_by_the_same_call(inputs: Path, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    assert _supervise(inputs, killed, "die") == -signal.SIGKILL
    assert _supervise(inputs, killed, "finish") == 0
    assert _supervise(inputs, whole, "finish") == 0
    loaded = journal(killed / "step").of(Loaded)
    assert {(entry.store, entry.resumed_from > 0) for entry in loaded} == {("model", False), ("disk", True)}
    assert losses(killed / "step") == losses(whole / "step")
    assert weights(killed / "step") == weights(whole / "step")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sequence": 500}, "longer than the model's context"),
        ({"sequence": 120}, "too short"),
    ],
)
def test_data_that_does_not_fit_the_model_is_refused_at_once(
    engine: FaultyEngine, inputs: Path, tmp_path: Path, changed: dict[str, int], words: str
) -> None:
    data = make_shards(tmp_path / "short", train_tokens=100)
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(UsageError, match=words):
        run(make_settings(inputs, data=str(data), **changed), context)
    assert engine.num_submitted == 0


def test_tokens_that_the_model_does_not_know_are_named(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    model = make_micro_model(tmp_path / "small", vocab_size=100)
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(UsageError, match=r"another tokenizer.*token \d+ in train"):
        run(make_settings(inputs, model=str(model)), context)


def test_shards_of_another_tokenizer_of_the_same_size_are_refused(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    context, _ = make_context(engine, tmp_path / "step")
    ours = make_shards(tmp_path / "ours", tokenizer_digest=tokenizer_digest(inputs / "base"))
    others = make_shards(tmp_path / "others", tokenizer_digest=32 * "a")
    with pytest.raises(UsageError, match=r"another tokenizer.*aaaaaaaa"):
        run(make_settings(inputs, steps=2, data=str(others)), context)
    assert engine.num_submitted == 0
    run(make_settings(inputs, steps=2, data=str(ours)), context)


def test_a_corrupted_shard_is_named(engine: FaultyEngine, inputs: Path, tmp_path: Path) -> None:
    data = make_shards(tmp_path / "data")
    content = bytearray((data / "train-00000.bin").read_bytes())
    content[1000] ^= 1
    (data / "train-00000.bin").write_bytes(content)
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(IntegrityError, match=r"train-00000\.bin is damaged"):
        run(make_settings(inputs, data=str(data)), context)


def test_the_plan_touches_nothing(engine: FaultyEngine, tmp_path: Path) -> None:
    settings = TrainSettings(
        model="nowhere", data="nowhere", drill=DrillSettings(at_step=3), evaluate=EvaluationSettings(tokens=0)
    )
    context, _ = make_context(engine, tmp_path / "step")
    lines = plan(settings, context)
    assert "20 steps of 2048 tokens in bf16 with 2 workers" in lines[0]
    assert not (tmp_path / "step").exists()
