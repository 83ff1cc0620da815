"""`bedplate serve`: one server on an engine of its own, outside a run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bedplate.app.toolchain.serve.serve import ApiKey, Settings, serve
from bedplate.app.wiring import open_local_engine
from bedplate.core.json import JsonObject


def serve_here(settings: Settings, key: ApiKey, on_ready: Callable[[JsonObject], None], is_stopped: Callable[[], bool]) -> None:
    """Serve on this machine until `is_stopped`, and leave nothing behind; see `serve` for arguments and errors."""
    with tempfile.TemporaryDirectory(prefix="bedplate-serve-") as folder:
        engine = open_local_engine(Path(folder))
        try:
            serve(settings, engine, Path(folder), key, on_ready, is_stopped)
        finally:
            engine.close()
