"""A small job as if it ran on more hosts, so that a fabric can be judged by a job that ran on two workers.

A collective of the whole job is taken for data parallelism: it is widened to one group of all ranks, with the same
message, as data parallelism keeps its gradient size when ranks are added. A collective of a part of the job (tensor,
pipeline groups) keeps its size and is repeated for every copy of the job that fits. Nothing else changes: not the model,
not the batch of a rank.
"""

from __future__ import annotations

from dataclasses import replace

from bedplate.core.collectives import Collective


def widen(collective: Collective, world_size: int, num_ranks: int) -> tuple[Collective, ...]:
    """What `collective` of a job of `world_size` ranks becomes when the job has `num_ranks`; all of them run together."""
    if len(collective.group) == world_size:
        return (replace(collective, group=tuple(range(num_ranks))),)
    starts = range(0, num_ranks - world_size + 1, world_size)
    return tuple(replace(collective, group=tuple(start + rank for rank in collective.group)) for start in starts)
