"""How many threads the linear algebra of a model is worth.

Every operator ends in a barrier. On small operators the wait for a second core costs more than its share of the work saves,
however long a thread spins before it sleeps. Time of 64 rows times a square bf16 matrix of width h on two threads over one
(virtual cores, idle machine, libgomp's default spin): h 576: 1.6, h 1024: 0.83, h 4096: 0.52. So a thread must get a minimum
of work in the smallest projection of a prefill chunk; `benchmarks/serve_threads.py` holds the choice to one core.
"""

from __future__ import annotations

from bedplate.toolchain.models.config import ModelConfig

MIN_FLOPS_PER_THREAD = 1e8
"""Work of one thread in one operator below which it is not worth its barrier."""


def useful_threads(config: ModelConfig, chunk_tokens: int, max_threads: int) -> int:
    """Threads, from 1 to `max_threads`, that a prefill chunk of `chunk_tokens` can keep busy."""
    flops = 2 * chunk_tokens * config.hidden_size**2
    return max(1, min(max_threads, int(flops / MIN_FLOPS_PER_THREAD)))
