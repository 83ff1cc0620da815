"""Inside a task: a GGUF file becomes a model folder."""

from __future__ import annotations

from bedplate.core.json import JsonObject
from bedplate.core.messages import decode
from bedplate.core.task import TaskContext, TaskReporter, worker_errors


@worker_errors
def main(context: TaskContext) -> JsonObject:
    """spec: a `ConvertJob`. Returns the card's `weights_digest`."""
    from bedplate.toolchain.models.conversion import ConvertJob, convert

    card = convert(decode(ConvertJob, context.spec), TaskReporter(context))
    return {"weights_digest": card.weights_digest}
