"""How many threads the linear algebra of a model is worth.

Every operator ends in a barrier. On small operators the wait for a second core costs more than its share of the work saves,
however long a thread spins before it sleeps. Time of 64 rows times a square bf16 matrix of width h on two threads over one
(virtual cores, idle machine, libgomp's default spin): h 576: 1.6, h 1024: 0.83, h 4096: 0.52. So a thread must get a minimum
of work in the smallest projection of a prefill chunk; `benchmarks/serve_threads.py` holds the choice to one core.

Decode steps are another matter: their few rows are no work for the small operators that lose (those run on one thread
anyway), and reading the weights on all cores wins: six streams of SmolLM2 in int8 with KV memory served 1.12 requests/s with
two threads in decode steps only, 1.05 with one everywhere and 1.06 to 1.11 with two everywhere. A single stream decodes 4 %
slower then, so an engine for one sequence keeps the count of the prefill. The count must not follow the number of active
rows: it may decide the bits of a row, which are those of its own sequence alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.toolchain.models.config import ModelConfig
from bedplate.toolchain.serve.settings import EngineSettings

MIN_FLOPS_PER_THREAD = 1e8
"""Work of one thread in one operator below which it is not worth its barrier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepThreads:
    """Threads of each kind of step; constant while an engine runs."""

    prefill: int
    decode: int


def step_threads(config: ModelConfig, settings: EngineSettings, max_threads: int) -> StepThreads:
    """What the settings ask for, or what is worth it on `max_threads` cores."""
    if settings.threads is not None:
        return StepThreads(prefill=settings.threads, decode=settings.threads)
    prefill = useful_threads(config, settings.chunk_tokens, max_threads)
    return StepThreads(prefill=prefill, decode=max_threads if settings.max_batch > 1 else prefill)


def useful_threads(config: ModelConfig, chunk_tokens: int, max_threads: int) -> int:
    """Threads, from 1 to `max_threads`, that a prefill chunk of `chunk_tokens` can keep busy."""
    flops = 2 * chunk_tokens * config.hidden_size**2
    return max(1, min(max_threads, int(flops / MIN_FLOPS_PER_THREAD)))
