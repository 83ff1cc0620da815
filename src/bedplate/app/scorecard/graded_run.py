"""A run as the scorecard sees it, wherever it comes from: a step's context, the state, or a file; and its report page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedplate.app.pipeline.contract.step import StepResult
from bedplate.app.pipeline.contract.stored import result_from_json
from bedplate.app.runs import existing, open_runs
from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.files import write_file
from bedplate.core.measurement import Measurement
from bedplate.locale.languages import Language
from bedplate.scorecard.assess import Assessment, assess
from bedplate.scorecard.report.model import Report, ReportStep
from bedplate.scorecard.report.page import render
from bedplate.state.records import StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedRun:
    """What a run measured and showed, and the judgement over it."""

    title: str
    run_id: str
    measurements: tuple[Measurement, ...]
    steps: tuple[ReportStep, ...]

    def assess(self) -> Assessment:
        """Grade it."""
        return assess(self.measurements)


def read_graded_run(file: Path) -> GradedRun:
    """A run from what `bedplate run -o json` printed, or from a plain list of measurements.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It holds neither.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        listed = document if isinstance(document, list) else document["measurements"]
        measurements = tuple(Measurement.from_json(item) for item in listed)
        steps = tuple(_step(item) for item in document.get("steps", ())) if isinstance(document, dict) else ()
        run_id = str(document.get("run_id", "")) if isinstance(document, dict) else ""
    except FileNotFoundError:
        raise NotFoundError("there is no such file", seen=file, next_step="save one with: bedplate run FILE -o json") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{file} holds no measurements",
            seen=f"{type(error).__name__}: {error}",
            expected="the JSON of 'bedplate run -o json', or a list of {id, value, unit, provenance}",
        ) from error
    return GradedRun(title=file.stem, run_id=run_id, measurements=measurements, steps=steps)


def stored_graded_run(run: str, state: str | None) -> GradedRun:
    """A run of the state that `--state` names: its id, the beginning of it, a pipeline's name, or `last`.

    Raises:
        NotFoundError: There is none.
    """
    with open_runs(state) as opened:
        runs = existing(opened)
        view = runs.find(run)
        measurements = runs.state.measurements.of_run(view.run.id)
    return GradedRun(
        title=view.run.name,
        run_id=view.run.id,
        measurements=measurements,
        steps=tuple(_stored_step(record) for record in view.steps),
    )


def write_report(run: GradedRun, assessment: Assessment, file: Path, *, language: Language, created_s: float) -> None:
    """Write the page, completely or not at all.

    Raises:
        UnavailableError: The file cannot be written.
    """
    report = Report(
        title=run.title,
        run_id=run.run_id,
        created_s=created_s,
        scorecard=assessment.scorecard,
        limiting=assessment.limiting,
        what_if=assessment.what_if,
        steps=run.steps,
        language=language,
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, render(report))
    except OSError as error:
        raise UnavailableError(
            "the report cannot be written",
            seen=f"{file}: {error.strerror}",
            next_step="check the disk and the folder's permissions, or choose another file",
        ) from error


def _stored_step(record: StepRecord) -> ReportStep:
    result = StepResult() if record.result is None else result_from_json(record.result)
    return ReportStep(
        name=record.name,
        status=record.status.value,
        started_s=record.started_at_s,
        duration_s=record.seconds,
        figures=result.figures,
        tables=result.tables,
    )


def _step(document: dict[str, Any]) -> ReportStep:
    seconds = document.get("seconds")
    duration_s = None if seconds is None else float(seconds)
    return ReportStep(name=str(document["name"]), status=str(document["status"]), duration_s=duration_s)
