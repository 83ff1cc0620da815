"""Which samples a rank sees at which step: a function of seed and position alone.

The windows of a split are visited in a new order each epoch, each once. Sample number n of the whole run (over all
ranks) is place n mod N of epoch n div N, so a job that resumes at sample n, with as many or another number of ranks, goes on
exactly where it was. The order is a keyed permutation computed place by place (a balanced Feistel network with
cycle walking): no table to hold or to save, and no dependence on a library's generator. O(1) a sample.

    for batch in batches(shards, seed=0, rank=rank, world_size=2, micro_batch=4, length=512, start_sample=state):
        batch.tokens          # int64 (4, 513): inputs [:, :-1], targets [:, 1:]
        batch.next_sample     # put it in the checkpoint; the next run's start_sample, the same on every rank

Source: Black & Rogaway 2002 (cycle walking); round function after splitmix64 (Steele et al. 2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bedplate.toolchain.data.shards import Tokens, TokenShards

_MASK_64 = (1 << 64) - 1
_ROUNDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One micro-batch of one rank."""

    tokens: Tokens
    """int64 (micro_batch, length + 1)."""
    next_sample: int
    """First sample, over all ranks, that this step did not use."""
    epoch: int
    """Epoch of the batch's first sample, from 0."""


def batches(
    shards: TokenShards,
    *,
    seed: int,
    rank: int,
    world_size: int,
    micro_batch: int,
    length: int,
    start_sample: int = 0,
) -> Iterator[Batch]:
    """Endless micro-batches of one rank; the ranks of a step take neighbouring samples.

    Args:
        shards: The split.
        seed: Decides the order.
        rank: Of this process, 0 to world_size - 1.
        world_size: Ranks that share the samples.
        micro_batch: Samples a rank takes at once.
        length: Input tokens of a sample.
        start_sample: `next_sample` of the last batch that counts; 0 at the start.

    Raises:
        UsageError: The split holds no whole sample.
    """
    num_windows = shards.num_windows(length)
    first = start_sample
    while True:
        mine = range(first + rank * micro_batch, first + (rank + 1) * micro_batch)
        windows = [shards.window(window_of(sample, num_windows, seed), length) for sample in mine]
        first += world_size * micro_batch
        yield Batch(tokens=np.stack(windows), next_sample=first, epoch=mine.start // num_windows)


def window_of(sample: int, num_windows: int, seed: int) -> int:
    """The window that sample number `sample` of a run reads."""
    epoch, place = divmod(sample, num_windows)
    key = _mix(_mix(seed & _MASK_64) ^ epoch)
    half_bits = max(1, ((num_windows - 1).bit_length() + 1) // 2)
    while True:
        place = _feistel(place, half_bits, key)
        if place < num_windows:
            return place


def _feistel(place: int, half_bits: int, key: int) -> int:
    mask = (1 << half_bits) - 1
    left, right = place >> half_bits, place & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (_mix(key ^ (turn << 56) ^ right) & mask)
    return left << half_bits | right


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK_64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK_64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK_64
    return value ^ (value >> 31)
