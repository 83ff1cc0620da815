"""What `bedplate train FILE` does, for Python too: a training file is a pipeline of one step, without its frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedplate.app.api import run
from bedplate.app.pipeline.file.inputs import resolve_words
from bedplate.app.pipeline.run.outcome import RunOutcome
from bedplate.app.pipeline.run.watch import RunWatcher
from bedplate.core.json import Json
from bedplate.core.settings import Source
from bedplate.documents.reading import Document, read_document
from bedplate.toolchain.train.settings import TrainSettings as TrainSettings

STEP = "train"
_OF_THE_PIPELINE = ("name", "needs")


def train_file(
    file: str | Path,
    *,
    new: bool = False,
    overlay: Mapping[str, Json] | None = None,
    engine: str = "local",
    state: str | None = None,
    watcher: RunWatcher | None = None,
) -> RunOutcome:
    """Run the training that `file` describes, or resume it; look at `status` and `error` of what comes back.

    Args:
        file: The training file.
        new: Train again even if a run of the same file and inputs is finished.
        overlay: Settings that take the place of those in the file; paths in it start at the working directory.
        engine: Where tasks run; see `bedplate.run`.
        state: See `bedplate.run`.
        watcher: See `bedplate.run`.

    Raises:
        ConfigurationError: The file is invalid; nothing ran.
        NotFoundError: There is no such file.
    """
    document = as_pipeline(with_settings(read_document(Path(file), expected="model, data, tokens"), overlay or {}))
    return run(document, new=new, engine=engine, state=state, watcher=watcher, check=False)


def training_facts(outcome: RunOutcome) -> dict[str, Any]:
    """`training.json` of a finished run, and `path`, the folder that it is in."""
    folder = outcome.path_of(STEP)
    assert folder is not None
    facts: dict[str, Any] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return {**facts, "path": str(folder)}


def with_settings(document: Document, overlay: Mapping[str, Json]) -> Document:
    """The training file with the settings in `overlay` in the place of its own; nested ones key by key."""
    return replace(document, value=_merged(document.value, resolve_words(TrainSettings, overlay)))


def _merged(below: Mapping[str, Json], above: Mapping[str, Json]) -> dict[str, Json]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        is_nested = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[key] = _merged(under, value) if is_nested else value  # type: ignore[arg-type]
    return merged


def as_pipeline(document: Document) -> Document:
    """The pipeline that a training file stands for; errors still point at the lines of the file."""
    lines = {
        path if not path or path[0] in _OF_THE_PIPELINE else ("steps", STEP, *path): line
        for path, line in document.source.lines.items()
    }
    settings = {key: value for key, value in document.value.items() if key not in _OF_THE_PIPELINE}
    around = {key: document.value[key] for key in _OF_THE_PIPELINE if key in document.value}
    value = {"version": 1, "name": "train", **around, "steps": {STEP: {"use": "train", **settings}}}
    return Document(value=value, source=Source(file=document.source.file, lines=lines), folder=document.folder)
