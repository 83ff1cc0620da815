"""Settings of the built-in engine; in a file of their own, so that reading them does not load torch."""

from __future__ import annotations

from typing import Annotated

from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count


@settings
class EngineSettings:
    """How the built-in engine shares its machine."""

    max_batch: Annotated[Count, Range(1, 256)] = 8
    """Sequences that run concurrently; every decode step has this many rows."""
    chunk_tokens: Annotated[Count, Range(16, 512)] = 64
    """Prompt tokens of a prefill step; also the size of a KV block."""
    chunks_per_step: Annotated[Count, Range(1)] = 4
    """Prompt chunks computed between two decode steps: more raises throughput, fewer makes token times steadier."""
    queue_size: Annotated[Count, Range(1)] = 64
    """Requests that may wait; further ones are refused and may be retried later."""
    kv_memory: Annotated[ByteCount, Range(1)] = 2_000_000_000
    """Memory limit for keys and values of running sequences, in bytes."""
    context_tokens: Annotated[Count, Range(2)] | None = None
    """Longest prompt plus answer; None takes what the model and `kv_memory` allow."""
    threads: Annotated[Count, Range(1)] | None = None
    """Threads of the linear algebra; by default those that the model's operators can keep busy in a prefill step, and
    all of the task's cores in a decode step of several sequences."""
