"""Settings of the built-in engine; apart from it, so that reading them does not load torch."""

from __future__ import annotations

from typing import Annotated

from bedplate.core.settings import Range, settings
from bedplate.core.units import ByteCount, Count


@settings
class EngineSettings:
    """How the built-in engine shares its machine."""

    max_batch: Annotated[Count, Range(1, 256)] = 8
    """Sequences that run at once; every decode step has this many rows."""
    chunk_tokens: Annotated[Count, Range(16, 512)] = 64
    """Prompt tokens that are computed at a time; also the KV block."""
    chunks_per_step: Annotated[Count, Range(1)] = 4
    """Prompt chunks computed between two decode steps: more gives throughput, fewer gives an even flow of tokens."""
    queue_size: Annotated[Count, Range(1)] = 64
    """Requests that may wait; the next one is refused, to be tried again later."""
    kv_memory: Annotated[ByteCount, Range(1)] = 2_000_000_000
    """Most memory for keys and values of running sequences, in bytes."""
    context_tokens: Annotated[Count, Range(2)] | None = None
    """Longest prompt plus answer; None takes what the model and `kv_memory` allow."""
    threads: Annotated[Count, Range(1)] | None = None
    """Threads of the linear algebra; by default as many of the task's cores as the model's operators can keep busy."""
