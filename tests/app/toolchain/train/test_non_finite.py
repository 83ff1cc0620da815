"""NaN and infinity are values with a meaning from the gradient to the report; real processes."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bedplate.app.pipeline.contract.step import StepResult
from bedplate.app.pipeline.contract.stored import result_as_json
from bedplate.app.toolchain.train.journal import TrainingJournal
from bedplate.app.toolchain.train.step import run
from bedplate.compute.inventory import this_node
from bedplate.core.errors import BedplateError
from bedplate.toolchain.models.folder import load_model
from bedplate.toolchain.train.messages import StepReport
from bedplate.toolchain.train.settings import DrillSettings, EvaluationSettings, NonFinitePolicy
from tests.failing_worker import Fault, FaultyEngine
from tests.training_run import failures, make_context, make_settings, measured

STEPS = 6


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FaultyEngine]:
    engine = FaultyEngine(tmp_path / "engine", this_node())
    engine.fault = Fault(what="nan", rank=1, step=3)
    yield engine
    engine.close()


def steps_of(result: StepResult, directory: Path) -> list[StepReport]:
    return TrainingJournal(directory / "journal.jsonl", str(result.outputs["run"])).steps()


def test_all_workers_skip_a_step_that_one_of_them_spoiled(engine: FaultyEngine, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    result = run(make_settings(tmp_path, steps=STEPS, on_non_finite=NonFinitePolicy.SKIP), context)
    steps = steps_of(result, tmp_path / "step")
    assert [step.step for step in steps if step.is_skipped] == [3]
    assert math.isnan(steps[2].gradient_norm) and math.isfinite(steps[2].loss)
    assert measured(result)["steps_skipped"] == result.outputs["steps_skipped"] == 1
    assert next(event.message for event in heard.events if event.kind == "train.step_skipped").startswith("step 3: loss")
    assert any(sample.name == "train_gradient_norm" and math.isnan(sample.value) for sample in heard.samples)
    assert [(at, str(what)) for at, what in result.figures[0].marks] == [(3.0, "skipped")]
    warning = "1 of 6 steps were not finite and skipped (3): their text was not learned"
    assert f"warning: {warning}" in heard.said
    assert result.outputs["warnings"] == [warning]
    assert result.path is not None
    assert all(bool(torch.isfinite(weight).all()) for weight in load_model(result.path).parameters())


def test_a_kill_after_a_skipped_step_changes_no_bit(engine: FaultyEngine, tmp_path: Path) -> None:
    def train(name: str, **changed: Any) -> tuple[StepResult, bytes]:
        context, _ = make_context(engine, tmp_path / name)
        settings = make_settings(tmp_path, steps=10, on_non_finite=NonFinitePolicy.SKIP, **changed)
        result = run(settings, context)
        return result, (tmp_path / name / "model" / "model.safetensors").read_bytes()

    whole, killed = train("whole"), train("killed", drill=DrillSettings(kill=0, at_step=5))
    assert len(failures(killed[0])) == 1
    assert killed[0].outputs["steps_skipped"] == whole[0].outputs["steps_skipped"] == 1
    assert killed[1] == whole[1]


def test_a_stopped_run_resumes_when_set_to_skip(engine: FaultyEngine, tmp_path: Path) -> None:
    context, heard = make_context(engine, tmp_path / "step")
    with pytest.raises(BedplateError, match=r"step 3 is not finite.*on_non_finite: skip"):
        run(make_settings(tmp_path, steps=STEPS), context)
    assert engine.num_submitted == 1
    result = run(make_settings(tmp_path, steps=STEPS, on_non_finite=NonFinitePolicy.SKIP), context)
    assert result.outputs["steps_skipped"] == 1
    assert [event.message for event in heard.events if event.kind == "train.resumed"] == ["resumed from step 2 in disk"]


def test_an_absurd_learning_rate_stops_the_run_early(engine: FaultyEngine, tmp_path: Path) -> None:
    engine.fault = None
    context, _ = make_context(engine, tmp_path / "step")
    with pytest.raises(BedplateError, match=r"step \d is not finite"):
        run(make_settings(tmp_path, steps=8, learning_rate=1e6, clip=0.0, weight_decay=10.0), context)
    assert engine.num_submitted == 1
    assert not (tmp_path / "step" / "model").exists()


def test_an_absurd_learning_rate_does_not_end_as_done_because_steps_may_be_skipped(
    engine: FaultyEngine, tmp_path: Path
) -> None:
    engine.fault = None
    context, _ = make_context(engine, tmp_path / "step")
    settings = make_settings(
        tmp_path, steps=8, learning_rate=1e6, clip=0.0, weight_decay=10.0, on_non_finite=NonFinitePolicy.SKIP
    )
    with pytest.raises(BedplateError, match=r"step \d is not finite.*lower 'learning_rate'"):
        run(settings, context)
    assert not (tmp_path / "step" / "model").exists()


def test_a_run_that_diverged_without_evaluation_says_that_guessing_is_better(engine: FaultyEngine, tmp_path: Path) -> None:
    engine.fault = None
    context, heard = make_context(engine, tmp_path / "step")
    run(make_settings(tmp_path, steps=2, learning_rate=30.0, clip=0.0, evaluate=EvaluationSettings(tokens=0)), context)
    assert any(re.search(r"warning: the last loss is .* guessing costs 5\.545: the run diverged", line) for line in heard.said)


def test_a_run_that_diverged_gives_its_model_and_says_infinity(engine: FaultyEngine, tmp_path: Path) -> None:
    engine.fault = None
    context, heard = make_context(engine, tmp_path / "step")
    result = run(make_settings(tmp_path, steps=2, learning_rate=30.0, clip=0.0), context)
    assert measured(result)["ppl_after"] == math.inf
    assert result.outputs["perplexity_after"] == "Infinity"
    assert any("perplexity on held-out text after training: inf" in line for line in heard.said)
    assert any(
        re.fullmatch(r"warning: training made the model worse .*perplexity \d+\.?\d* -> inf", line) for line in heard.said
    )
    text = (tmp_path / "step" / "model" / "training.json").read_text()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["perplexity_after"] == "Infinity"
    json.dumps(result_as_json(result), allow_nan=False)
