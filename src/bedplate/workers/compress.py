"""Inside a task: compress a model by one scheme and compare it with its base."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode, encode
from bedplate.core.task import TaskContext, TaskReporter, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: a `CompressJob`. Reports a `CompressOutcome` as `judged` before the gate decides, and returns it."""
    from bedplate.toolchain.compress.job import CompressJob
    from bedplate.toolchain.compress.schemes import compress_model
    from bedplate.toolchain.data.shards import TokenShards
    from bedplate.toolchain.data.tokenise import tokenise

    job, reporter = decode(CompressJob, context.spec), TaskReporter(context)
    shards = tokenise(job.corpus, job.model, report=reporter.progress)
    tokens = TokenShards(shards, "validation").tokens(job.max_tokens)
    return encode(compress_model(job, tokens, reporter, lambda outcome: context.progress(judged=encode(outcome))))
