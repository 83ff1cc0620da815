"""Inside a task: perplexity of a model on one split of a corpus."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: `model`, `corpus` (folders), `split`, `context`, `max_tokens`. Returns a `PerplexityResult` as JSON."""
    import torch

    from bedplate.toolchain.data.shards import TokenShards
    from bedplate.toolchain.data.tokenise import tokenise
    from bedplate.toolchain.evaluate import perplexity
    from bedplate.toolchain.models.folder import load_model

    def report(done: float, total: float, unit: str) -> None:
        context.progress(done=done, total=total, unit=unit)

    spec = context.spec
    corpus, model, split = Path(str(spec["corpus"])), Path(str(spec["model"])), str(spec.get("split", "validation"))
    shards = TokenShards(tokenise(corpus, model, report=report), split)
    limit, length = spec.get("max_tokens"), spec.get("context", 1024)
    assert isinstance(length, int) and (limit is None or isinstance(limit, int))
    decoder = load_model(model, torch.bfloat16)
    result = perplexity(decoder, shards.tokens(limit), length, text=f"{split} of {corpus}", report=report)
    return result.as_json()
