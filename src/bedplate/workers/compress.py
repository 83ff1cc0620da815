"""Inside a task: compress a model by one scheme and measure it beside its base."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.json import JsonObject
from bedplate.core.task import TaskContext, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: `model`, `corpus`, `out` (folders), `scheme`, `context`, `max_tokens`. Returns `base`, `scheme`, `tokens`."""
    from bedplate.toolchain.compress.schemes import judge, write_compressed
    from bedplate.toolchain.data.shards import TokenShards
    from bedplate.toolchain.data.tokenise import tokenise

    def report(done: float, total: float, unit: str) -> None:
        if total:
            context.progress(done=done, total=total, unit=unit)
        else:
            context.heartbeat()

    spec = context.spec
    model, corpus, out, scheme = (
        Path(str(spec["model"])),
        Path(str(spec["corpus"])),
        Path(str(spec["out"])),
        str(spec["scheme"]),
    )
    limit, length = spec["max_tokens"], spec["context"]
    assert isinstance(limit, int) and isinstance(length, int)
    tokens = TokenShards(tokenise(corpus, model, report=report), "validation").tokens(limit)
    context.progress(say=f"writing {scheme} weights to {out}")
    write_compressed(model, scheme, out)
    context.progress(say=f"judging both on {len(tokens)} held-out tokens in windows of {length}")
    base, compressed = judge(model, out, scheme, tokens, length, report)
    return {"base": base.as_json(), "scheme": compressed.as_json(), "tokens": len(tokens) - 1}
