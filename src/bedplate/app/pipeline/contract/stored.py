"""A step's result as the state keeps it, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedplate.app.pipeline.contract.step import ResultKind, StepResult
from bedplate.core.figures import Figure, ResultTable
from bedplate.core.json import JsonObject, plain
from bedplate.core.measurement import Measurement


def result_as_json(result: StepResult) -> JsonObject:
    """Everything of `result`; numbers that are not finite become none."""
    document = plain(
        {
            "path": None if result.path is None else result.path.resolve(),
            "kind": result.kind,
            "outputs": result.outputs,
            "measurements": [item.as_json() for item in result.measurements],
            "figures": [item.as_json() for item in result.figures],
            "tables": [item.as_json() for item in result.tables],
        }
    )
    assert isinstance(document, dict)
    return document


def result_from_json(document: Any) -> StepResult:
    """Inverse of `result_as_json`."""
    return StepResult(
        path=None if document["path"] is None else Path(document["path"]),
        kind=None if document.get("kind") is None else ResultKind(document["kind"]),
        outputs=document["outputs"],
        measurements=tuple(Measurement.from_json(item) for item in document["measurements"]),
        figures=tuple(Figure.from_json(item) for item in document["figures"]),
        tables=tuple(ResultTable.from_json(item) for item in document["tables"]),
    )
