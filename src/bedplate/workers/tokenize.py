"""Inside a task: a corpus becomes token shards."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.task import TaskContext, TaskReporter, worker_errors
from bedplate.toolchain.data.messages import TokenisedCorpus, TokeniseTask


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """The spec is a `TokeniseTask`, the result a `TokenisedCorpus`."""
    from bedplate.toolchain.data.shards import TokenShards
    from bedplate.toolchain.data.tokenise import tokenise

    task = decode(TokeniseTask, context.spec)
    folder = tokenise(task.corpus, task.model, report=TaskReporter(context).progress)
    splits = sorted({str(entry["split"]) for entry in TokenShards(folder).manifest["shards"]})
    return encode(TokenisedCorpus(folder=folder, num_tokens={split: len(TokenShards(folder, split)) for split in splits}))
