"""`bedplate serve` and `bedplate bench serve`: one server on this machine, outside a file of the user's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from bedplate.app.api import run
from bedplate.app.pipeline.file.inputs import resolve_words
from bedplate.app.pipeline.run.watch import RunWatcher
from bedplate.app.toolchain.serve.bench import Settings as BenchSettings
from bedplate.app.toolchain.serve.engine_folder import engine_folder
from bedplate.app.toolchain.serve.serve import ApiKey, Settings, serve
from bedplate.app.wiring import local_engine
from bedplate.core.json import Json
from bedplate.toolchain.serve.task import ServerReady


def serve_here(
    settings: Settings, key: ApiKey, on_ready: Callable[[ServerReady], None], is_stopped: Callable[[], bool]
) -> None:
    """Serve on this machine until `is_stopped`, and leave nothing behind; see `serve` for arguments and errors."""
    with engine_folder() as folder:
        engine = local_engine(folder)
        try:
            serve(settings, engine, key, on_ready, is_stopped)
        finally:
            engine.close()


def bench_here(written: Mapping[str, Json], *, state: str | None = None, watcher: RunWatcher | None = None) -> dict[str, Any]:
    """Measure a server in a new run of one step, and wait for it.

    Args:
        written: Settings of the step `bench.serve`; relative paths start at the working directory.
        state: Where the run is kept; see `bedplate.run`.
        watcher: Shows the run; see `bedplate.run`.

    Returns:
        The document of `bench serve -o json`.

    Raises:
        See `bench.run`.
    """
    settings = resolve_words(BenchSettings, written)
    pipeline = {"version": 1, "name": "bench-serve", "steps": {"bench": {"use": "bench.serve", **settings}}}
    outcome = run(pipeline, new=True, state=state, watcher=watcher)
    file = outcome.path_of("bench")
    assert file is not None
    return {**json.loads(file.read_text(encoding="utf-8")), "measurements": [item.as_json() for item in outcome.measurements]}
