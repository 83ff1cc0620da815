"""What became of a run: what `bedplate run` prints and `bedplate.run` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.app.pipeline.contract.step import ResultKind
from bedplate.core.errors import BedplateError
from bedplate.core.json import JsonObject, plain
from bedplate.core.measurement import Measurement
from bedplate.state.records import Status, StepRecord
from bedplate.state.store import StateStore

_KINDS_BEFORE = {"score": "report", "model.fetch": "model", "train": "model", "compress": "model"}
"""Results of version 0.1.0 do not say their kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """One step of a run."""

    name: str
    status: Status
    seconds: float | None
    """Wall time of its last attempt; None where it never ran to an end."""
    path: Path | None = None
    """What it returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A run after its end."""

    run_id: str
    status: Status
    steps: tuple[StepOutcome, ...]
    report: Path | None
    """The report's page, the last one of several; None where no step made one."""
    model: Path | None
    """The model that came out, the last one of several; None where no step made one."""
    measurements: tuple[Measurement, ...]
    directory: Path
    """Where its steps keep their files."""
    was_done_before: bool = False
    """Nothing ran: an earlier start had finished it."""
    error: BedplateError | None = None
    """Why it did not get to its end."""

    def path_of(self, step: str) -> Path | None:
        """What a step returned."""
        return next((item.path for item in self.steps if item.name == step), None)

    def as_json(self) -> JsonObject:
        """The document of `run -o json`."""
        return {
            "run_id": self.run_id,
            "status": self.status.value,
            "steps": [
                {
                    "name": step.name,
                    "status": step.status.value,
                    "seconds": step.seconds,
                    "path": None if step.path is None else str(step.path),
                }
                for step in self.steps
            ],
            "report": None if self.report is None else str(self.report),
            "model": None if self.model is None else str(self.model),
            "measurements": [item.as_json() for item in self.measurements],
            "directory": str(self.directory),
            "was_done_before": self.was_done_before,
            "error": None if self.error is None else plain(self.error.as_json()),
        }


def read_outcome(
    state: StateStore,
    run_id: str,
    directory: Path,
    status: Status,
    *,
    done_before: bool = False,
    error: BedplateError | None = None,
) -> RunOutcome:
    """The outcome of a run from what the state keeps of it."""
    records = state.steps.of_run(run_id)
    return RunOutcome(
        run_id=run_id,
        status=status,
        steps=tuple(_step_outcome(record) for record in records),
        report=_last_of(ResultKind.REPORT, records),
        model=_last_of(ResultKind.MODEL, records),
        measurements=state.measurements.of_run(run_id),
        directory=directory,
        was_done_before=done_before,
        error=error,
    )


def _step_outcome(record: StepRecord) -> StepOutcome:
    return StepOutcome(name=record.name, status=record.status, seconds=record.seconds, path=_path(record))


def _last_of(kind: ResultKind, records: Sequence[StepRecord]) -> Path | None:
    return next((_path(record) for record in reversed(records) if _kind(record) == kind), None)


def _kind(record: StepRecord) -> str | None:
    """The kind of a step's result; of one that an older version stored, by the use case that made it."""
    if record.result is None:
        return None
    kind = record.result.get("kind", _KINDS_BEFORE.get(record.use))
    return None if kind is None else str(kind)


def _path(record: StepRecord) -> Path | None:
    text = (record.result or {}).get("path")
    return Path(str(text)) if text else None
