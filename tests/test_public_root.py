"""`import bedplate`: a small flat root whose names are guarded, and the Python side of `run` and `plan`."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import bedplate
from tests.command_line import USES

EXPORTED = {
    "text",
    "measured_in",
    "ConfigurationError",
    "UsageError",
    "about_setting",
    "UnavailableError",
    "NotFoundError",
    "CheckFailedError",
    "Fraction",
    "Duration",
    "Count",
    "ByteCount",
    "InputFile",
    "Input",
    "Range",
    "settings",
    "BedplateError",
    "Measurement",
    "Needs",
    "Plan",
    "PlanContext",
    "Provenance",
    "ResultKind",
    "RunOutcome",
    "RunWatcher",
    "StepContext",
    "StepOutcome",
    "StepResult",
    "__version__",
    "plan",
    "run",
    "ControlClient",
    "connect",
}


def test_the_exported_names_are_these_and_no_others() -> None:
    assert set(bedplate.__all__) == EXPORTED
    assert set(dir(bedplate)) >= EXPORTED
    public = {name for name in EXPORTED if callable(getattr(bedplate, name)) and not name.startswith("_")}
    assert all(inspect.getdoc(getattr(bedplate, name)) for name in public)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        bedplate.rum  # noqa: B018


def test_a_mapping_runs_like_a_file_and_goes_on_like_one(tmp_path: Path) -> None:
    pipeline = {
        "version": 1,
        "name": "python",
        "steps": {"a": {"use": "test.write", "text": "x"}, "b": {"use": "test.write", "sources": ["$a"]}},
    }
    state = str(tmp_path / "state")
    planned = bedplate.plan(pipeline, state=state, uses=USES)
    assert [step.name for step in planned.steps] == ["a", "b"]
    outcome = bedplate.run(pipeline, state=state, uses=USES)
    assert outcome.status == "done"
    path = outcome.path_of("b")
    assert path is not None
    assert path.read_text() == "xhello"
    assert {type(item) for item in outcome.measurements} == {bedplate.Measurement}
    assert bedplate.run(pipeline, state=state, uses=USES).was_done_before


def test_a_failed_step_raises_its_own_error_unless_only_shown(tmp_path: Path) -> None:
    pipeline = {"version": 1, "steps": {"a": {"use": "test.fail"}}}
    with pytest.raises(bedplate.BedplateError, match="the answer is no"):
        bedplate.run(pipeline, state=str(tmp_path), uses=USES)
    outcome = bedplate.run(pipeline, state=str(tmp_path), uses=USES, check=False)
    assert (outcome.status, outcome.error is not None) == ("failed", True)


def test_a_run_may_be_started_from_any_thread(tmp_path: Path) -> None:
    pipeline = {"version": 1, "steps": {"a": {"use": "test.write"}}}
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(bedplate.run, pipeline, state=str(tmp_path), uses=USES).result(timeout=60)
    assert outcome.status == "done"
