"""`bedplate compress`: one compression on this machine, outside a run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bedplate.app.pipeline.contract.standalone import standalone_context
from bedplate.app.toolchain.compress import CompressionResults, Settings, compress
from bedplate.app.wiring import service_events
from bedplate.core.reporter import Reporter


def compress_here(settings: Settings, out: Path, reporter: Reporter) -> CompressionResults:
    """Compress into `out`, or with several schemes into a folder of it for each; raises as `compress` does."""
    schemes: tuple[str, ...] = settings.schemes
    folders = {schemes[0]: out} if len(schemes) == 1 else {scheme: out / scheme for scheme in schemes}
    with (
        tempfile.TemporaryDirectory(prefix="bedplate-compress-") as scratch,
        service_events("compress") as events,
        standalone_context("compress", Path(scratch), reporter, events) as context,
    ):
        return compress(settings, folders, context)
