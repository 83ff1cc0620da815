"""Inside a task: a corpus becomes token shards."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: `corpus` and `model` (folders). Returns `folder` and tokens by split."""
    from bedplate.toolchain.data.shards import TokenShards
    from bedplate.toolchain.data.tokenise import tokenise

    def report(done: float, total: float, unit: str) -> None:
        context.progress(done=done, total=total, unit=unit)

    folder = tokenise(Path(str(context.spec["corpus"])), Path(str(context.spec["model"])), report=report)
    splits = {str(entry["split"]) for entry in TokenShards(folder).manifest["shards"]}
    return {"folder": str(folder), "tokens": {split: len(TokenShards(folder, split)) for split in sorted(splits)}}
