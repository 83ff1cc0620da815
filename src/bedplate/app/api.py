"""The Python side of `bedplate run` and `bedplate plan`: same names, same dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedplate.app.pipeline.file.definition import Pipeline
from bedplate.app.pipeline.file.reading import Examined, examine_pipeline
from bedplate.app.pipeline.run.attempt import RunPlace
from bedplate.app.pipeline.run.outcome import RunOutcome
from bedplate.app.pipeline.run.planning import Plan, check_settings_of, plan_pipeline
from bedplate.app.pipeline.run.runner import run_pipeline
from bedplate.app.pipeline.run.watch import NullWatcher, RunWatcher
from bedplate.app.uses import USES
from bedplate.app.wiring import engine_factory, open_state, state_location
from bedplate.core.settings import Mistakes
from bedplate.documents.reading import Document, document_from, read_document
from bedplate.state.database.location import StateLocation
from bedplate.state.store import StateStore


def run(
    pipeline: str | Path | Mapping[str, Any] | Document,
    *,
    new: bool = False,
    engine: str = "local",
    state: str | None = None,
    uses: Mapping[str, str] | None = None,
    watcher: RunWatcher | None = None,
    check: bool = True,
) -> RunOutcome:
    """Run a pipeline file, or a mapping of the same shape; the same call resumes an unfinished run.

    Args:
        pipeline: Path of a YAML file, its content as a mapping, or a document that was read; relative paths in a mapping
            start at the working directory.
        new: Start a new run even if one with the same content and inputs exists.
        engine: Where tasks run, as a URL: `local`, `ray://HOST:PORT` …; see `app.wiring.ENGINE_URLS`.
        state: A folder or database URL; the user's state folder when None.
        uses: More use cases by the name that files give them, as module paths.
        watcher: Shows what happens.
        check: Raise if the run does not finish; otherwise inspect `status` and `error`.

    Raises:
        ConfigurationError: The file is invalid, or a use case refuses its settings; nothing ran. Carries every mistake that
            was found (`mistakes`).
        UnavailableError: Another process runs it, or the state, the engine or a use case is not available.
        BedplateError: With `check`, what ended the run.
    """
    open_engine, place = engine_factory(engine), state_location(state)
    checked = _checked(_examined(pipeline, uses), place, new=new)
    store = open_state(place)
    try:
        where = RunPlace(state=store, runs_folder=place.runs_folder, engine_name=engine, open_engine=open_engine)
        outcome = run_pipeline(checked, where, watcher or NullWatcher(), new=new)
    finally:
        store.close()
    if check and outcome.error is not None:
        raise outcome.error
    return outcome


def plan(
    pipeline: str | Path | Mapping[str, Any] | Document,
    *,
    engine: str = "local",
    state: str | None = None,
    uses: Mapping[str, str] | None = None,
) -> Plan:
    """What `run` with the same arguments would do; changes nothing.

    Raises:
        ConfigurationError: As of `run`.
        UnavailableError: The state, the engine or a use case is not available.
    """
    examined, place = _examined(pipeline, uses), state_location(state)
    checked = _checked(examined, place) if examined.mistakes.found else examined.complete(is_kept=False)
    store = StateStore.open_existing(place)
    try:
        return plan_pipeline(
            checked,
            state=store,
            runs_folder=place.runs_folder,
            engine_name=engine,
            open_engine=engine_factory(engine),
        )
    finally:
        if store is not None:
            store.close()


def _examined(pipeline: str | Path | Mapping[str, Any] | Document, uses: Mapping[str, str] | None) -> Examined:
    if isinstance(pipeline, Document):
        document = pipeline
    else:
        document = document_from(pipeline, Path.cwd()) if isinstance(pipeline, Mapping) else read_document(Path(pipeline))
    return examine_pipeline(document, {**USES, **(uses or {})})


def _checked(examined: Examined, place: StateLocation, *, new: bool = False) -> Pipeline:
    """The pipeline whose settings the use cases accept; what they refuse is raised with the file's own mistakes.

    Steps that were finished before are not asked again, unless all is to be done anew.
    """
    mistakes, is_complete = Mistakes(), not examined.mistakes.found
    pipeline = examined.complete() if is_complete else examined.pipeline
    mistakes.found += examined.mistakes.found
    store = StateStore.open_existing(place) if is_complete and not new else None
    try:
        check_settings_of(pipeline, mistakes, state=store, runs_folder=place.runs_folder)
    finally:
        if store is not None:
            store.close()
    mistakes.raise_all()
    return pipeline
