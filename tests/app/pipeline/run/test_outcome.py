"""What came out of a run is found by what its steps say it is, whatever they are called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bedplate
from bedplate.app.pipeline.run.outcome import read_outcome
from bedplate.app.wiring import open_state, state_location
from bedplate.cli.terminal.closing import closing_words
from bedplate.state.records import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    kind: bedplate.ResultKind | None = None


def plan(settings: Settings, context: bedplate.PlanContext) -> Sequence[str]:
    return [f"make {settings.kind}"]


def run(settings: Settings, context: bedplate.StepContext) -> bedplate.StepResult:
    made = context.directory / "made"
    made.write_text(str(settings.kind))
    return bedplate.StepResult(path=made, kind=settings.kind)


PIPELINE = {
    "version": 1,
    "name": "kinds",
    "steps": {
        "page": {"use": "make", "kind": "report"},
        "base": {"use": "make", "kind": "model"},
        "smaller": {"use": "make", "kind": "model"},
        "notes": {"use": "make"},
    },
}


def test_report_and_model_are_the_last_of_their_kind(tmp_path: Path) -> None:
    outcome = bedplate.run(PIPELINE, state=str(tmp_path), uses={"make": __name__})
    assert outcome.report == outcome.path_of("page")
    assert outcome.model == outcome.path_of("smaller")
    assert outcome.as_json()["model"] == str(outcome.model)
    assert f"bedplate serve {outcome.model}" in closing_words(outcome)
    again = bedplate.run(PIPELINE, state=str(tmp_path), uses={"make": __name__})
    assert (again.was_done_before, again.report, again.model) == (True, outcome.report, outcome.model)


def test_older_results_get_the_kind_of_their_use_case(tmp_path: Path) -> None:
    outcome = bedplate.run({**PIPELINE, "steps": {"score": {"use": "score"}}}, state=str(tmp_path))
    state = open_state(state_location(str(tmp_path)))
    try:
        (record,) = state.steps.of_run(outcome.run_id)
        assert record.result is not None
        old = {name: value for name, value in record.result.items() if name != "kind"}
        state.steps.finish(outcome.run_id, "score", seconds=1.0, result=old, measured=())
        read = read_outcome(state, outcome.run_id, tmp_path, Status.DONE)
    finally:
        state.close()
    assert read.report == outcome.report is not None
