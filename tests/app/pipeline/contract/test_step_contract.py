"""What a step is given by the runner, seen from inside a step."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bedplate
from bedplate.app.pipeline.contract.stored import result_as_json, result_from_json
from bedplate.core.figures import Figure, FigureKind, ResultTable, Series
from bedplate.core.json import canonical
from bedplate.core.measurement import Measurement, Provenance
from bedplate.engines.base import CanExclude, CanInheritDescriptors, CanLoseNodes, FaultInjection

SEEN: list[bedplate.StepContext] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    in_: str = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    place: Place = field(default_factory=Place)


def plan(settings: Settings, context: bedplate.PlanContext) -> Sequence[str]:
    return [settings.place.in_]


def run(settings: Settings, context: bedplate.StepContext) -> bedplate.StepResult:
    SEEN.append(context)
    context.reporter.progress(float("nan"), float("inf"), "odd")
    return bedplate.StepResult(outputs={"seen": len(SEEN)})


USES = {"look": __name__}
PIPELINE = {
    "version": 1,
    "name": "look",
    "needs": {"workers": {"want": 3, "min": 2}},
    "steps": {"a": {"use": "look"}, "b": {"use": "look", "after": "a"}},
}


def test_a_step_sees_needs_results_seconds_and_its_own_directory(tmp_path: Path) -> None:
    SEEN.clear()
    outcome = bedplate.run(PIPELINE, state=str(tmp_path), uses=USES)
    first, second = SEEN
    assert (first.needs.workers.want, first.needs.workers.min) == (3, 2)
    assert (dict(first.results), dict(first.seconds)) == ({}, {})
    assert second.results["a"].outputs == {"seen": 1}
    assert second.seconds["a"] == outcome.steps[0].seconds
    assert second.directory == tmp_path / "runs" / outcome.run_id / "b"
    assert second.directory.is_dir()


def test_a_steps_engine_has_the_capabilities_of_the_real_one(tmp_path: Path) -> None:
    SEEN.clear()
    bedplate.run(PIPELINE, state=str(tmp_path), uses=USES)
    engine: Any = SEEN[0].engine
    assert engine.name == "local"
    assert isinstance(engine, FaultInjection)
    assert isinstance(engine, CanExclude)
    assert isinstance(engine, CanInheritDescriptors)
    assert not isinstance(engine, CanLoseNodes)


def test_planned_settings_are_shown_as_people_write_them(tmp_path: Path) -> None:
    planned = bedplate.plan(PIPELINE, state=str(tmp_path), uses=USES)
    assert planned.steps[0].settings == {"place": {"in": "memory"}}


def test_a_result_comes_back_from_the_state_as_it_was(tmp_path: Path) -> None:
    figure = Figure(
        id="loss",
        title="Loss",
        kind=FigureKind.LINE,
        x_label="step",
        y_label="nats",
        series=(Series(name="a", x=(1.0, 2.0), y=(2.5, None)),),
        provenance=Provenance.MEASURED,
        marks=((1.5, "killed"),),
    )
    table = ResultTable(id="t", title="T", columns=("a", "b"), rows=(("x", 1.0), (None, 2.0)), provenance=Provenance.SIMULATED)
    measured = Measurement(id="m_s", value=None, unit="s", provenance=Provenance.EMULATED, hardware="h", scale="s", at_s=3.0)
    result = bedplate.StepResult(
        path=tmp_path, outputs={"a": [1, {"b": None}]}, measurements=(measured,), figures=(figure,), tables=(table,)
    )
    document = result_as_json(result)
    canonical(document)
    assert result_from_json(document) == result


def test_numbers_that_are_not_finite_are_stored_as_none() -> None:
    odd = Measurement(id="m", value=float("nan"), unit="s", provenance=Provenance.MEASURED)
    kept = result_from_json(result_as_json(bedplate.StepResult(outputs={"x": float("inf")}, measurements=(odd,))))
    assert kept.outputs == {"x": None}
    assert kept.measurements[0].value is None
