"""Training and held-out samples from token shards, as the trainer asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bedplate.toolchain.data.sampler import window_of
from bedplate.toolchain.data.shards import TokenShards
from bedplate.toolchain.train.settings import TrainSettings


class ShardBatches:
    """Micro-batches by position: sample n of the run is the n-th window of the split in its seeded order."""

    def __init__(self, shards: TokenShards, settings: TrainSettings, workers: int) -> None:
        """Check that there is at least one window.

        Raises:
            UsageError: The split is shorter than one sequence.
        """
        self._shards, self._settings = shards, settings
        self._num_windows = shards.num_windows(settings.sequence)
        self._micro_batches_per_step = settings.accumulate * workers

    def micro_batch(self, step: int, index: int) -> tuple[Tensor, Tensor]:
        """See `trainer.Batches.micro_batch`."""
        size, length = self._settings.micro_batch, self._settings.sequence
        first = ((step - 1) * self._micro_batches_per_step + index) * size
        places = (window_of(sample, self._num_windows, self._settings.seed) for sample in range(first, first + size))
        tokens_BT = torch.from_numpy(np.stack([self._shards.window(place, length) for place in places]))
        return tokens_BT[:, :-1], tokens_BT[:, 1:]


def held_out(shards: TokenShards, settings: TrainSettings, rank: int, world_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """This rank's share of the first `settings.evaluate.tokens` held-out tokens, in windows of `settings.evaluate.context`.

    A split shorter than one window gives one short window to rank 0.
    """
    length = min(settings.evaluate.context, len(shards) - 1)
    num_windows = min(shards.num_windows(length), max(1, settings.evaluate.tokens // length))
    for index in range(rank, num_windows, world_size):
        tokens_BT = torch.from_numpy(shards.window(index, length))[None]
        yield tokens_BT[:, :-1], tokens_BT[:, 1:]
