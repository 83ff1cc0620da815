"""Inside a task: a GGUF file becomes a model folder, made aside and renamed when whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: `file` (GGUF), `folder` (result), `about` (for the card). Returns the card's `weights_digest`."""
    from bedplate.toolchain.models.card import read_card, write_card
    from bedplate.toolchain.models.gguf import convert_gguf

    folder, about = Path(str(context.spec["folder"])), context.spec["about"]
    assert isinstance(about, dict)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    context.progress(say=f"unpacking {Path(str(context.spec['file'])).name} to bf16")
    convert_gguf(Path(str(context.spec["file"])), aside, context.heartbeat)
    write_card(aside, **about)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return {"weights_digest": str(read_card(folder)["weights_digest"])}
