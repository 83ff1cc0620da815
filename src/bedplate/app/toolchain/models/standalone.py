"""`bedplate model fetch`: what a machine needs before its network is cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.toolchain.data import text as data_text
from bedplate.app.toolchain.models.fetch import Settings, download, run
from bedplate.app.wiring import service_events
from bedplate.core.json import Json, JsonObject
from bedplate.core.reporter import Reporter
from bedplate.toolchain.data import catalog as text_catalog
from bedplate.toolchain.models import catalog


def fetch_model(settings: Settings, *, download_only: bool, with_text: bool, reporter: Reporter) -> JsonObject:
    """Put a model into the cache.

    Args:
        settings: Which.
        download_only: Only download; a later step unpacks without the network.
        with_text: Also download the texts of the catalog.
        reporter: Shows lines and progress.

    Returns:
        `model`; `texts`, the files of the texts; `file` of a download, else `folder` and what is known of the model.

    Raises:
        See `models.fetch.run`.
    """
    result: dict[str, Json] = {"model": settings.model}
    with service_events("model") as events:
        if with_text:
            result["texts"] = [str(data_text.download(known, reporter, events)) for known in text_catalog.TEXTS.values()]
        if download_only:
            return {**result, "file": str(download(catalog.known_model(settings.model), reporter, events))}
        with (
            tempfile.TemporaryDirectory(prefix="bedplate-fetch-") as scratch,
            standalone_context("model", Path(scratch), reporter, events) as context,
        ):
            fetched = run(settings, context)
    return {**result, "folder": str(fetched.path), **fetched.outputs}
