"""AdamW on one rank's slice of the weights, and the learning rate over the steps.

The update runs over pieces of 256 kB, so that the eight passes over a piece stay in the cache. Why not torch.optim: making
its first optimiser imports torch's compiler, 800 modules and a second at every worker start. A test holds ours to torch's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bedplate.toolchain.train.flat import Layout
from bedplate.toolchain.train.settings import TrainSettings
from bedplate.toolchain.train.slices import STATE_BUFFERS

BETA_1, BETA_2 = 0.9, 0.95
"""Decay of the moments, as language models are commonly trained (Brown et al. 2020)."""
EPSILON = 1e-8
_PIECE_ELEMENTS = 65_536


class ShardedAdamW:
    """Master weights and moments of one slice; decoupled weight decay on matrices only (Loshchilov & Hutter 2019)."""

    def __init__(
        self, layout: Layout, rank: int, world_size: int, weight_decay: float, device: torch.device | None = None
    ) -> None:
        """Buffers are allocated on `device` (None: host memory), not filled: a checkpoint or `start_from` comes first."""
        self.start, self.end = layout.bounds(rank, world_size)
        size = self.end - self.start
        self.buffers = {name: torch.empty(size, dtype=torch.float32, device=device) for name in STATE_BUFFERS}
        self.steps_done = 0
        self._weight_decay = weight_decay
        self._num_decaying = min(max(layout.num_matrix_elements - self.start, 0), self.end - self.start)

    def start_from(self, layout: Layout, weights: Mapping[str, Tensor]) -> None:
        """Start from these weights by parameter name, in any precision."""
        for name, (start, end) in layout.places.items():
            low, high = max(start, self.start), min(end, self.end)
            if low < high:
                mine = self.buffers["master"][low - self.start : high - self.start]
                mine.copy_(weights[name].flatten()[low - start : high - start])
        self.buffers["moment_1"].zero_()
        self.buffers["moment_2"].zero_()
        self.steps_done = 0

    def step(self, gradients: Tensor, learning_rate: float, scale: float = 1.0) -> None:
        """One update from the flat `gradients` of all ranks, each multiplied by `scale` first; they are used up."""
        self.steps_done += 1
        update = _Update(
            rate=learning_rate / (1 - BETA_1**self.steps_done),
            root_correction=math.sqrt(1 - BETA_2**self.steps_done),
            scale=scale,
        )
        mine = gradients[self.start : self.end]
        for decays, part in ((True, slice(0, self._num_decaying)), (False, slice(self._num_decaying, None))):
            kept = 1 - learning_rate * self._weight_decay if decays else 1.0
            columns = (self.buffers["master"], self.buffers["moment_1"], self.buffers["moment_2"], mine)
            for piece in zip(*(column[part].split(_PIECE_ELEMENTS) for column in columns), strict=True):  # type: ignore[no-untyped-call]
                update.apply(*piece, kept=kept)

    def write_weights(self, weights: Tensor) -> None:
        """Round the master weights into this rank's slice of the flat `weights`."""
        weights[self.start : self.end].copy_(self.buffers["master"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Update:
    """Scalars of one step."""

    rate: float
    root_correction: float
    scale: float

    def apply(self, master: Tensor, moment_1: Tensor, moment_2: Tensor, gradient: Tensor, *, kept: float) -> None:
        gradient.mul_(self.scale)
        moment_1.lerp_(gradient, 1 - BETA_1)
        moment_2.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        root = torch.sqrt(moment_2, out=gradient).div_(self.root_correction).add_(EPSILON)
        master.mul_(kept).addcdiv_(moment_1, root, value=-self.rate)


def learning_rate(settings: TrainSettings, step: int, num_steps: int) -> float:
    """Rate of step `step` (from 1): linear up, then a cosine down to a tenth of the peak."""
    warm_up = math.ceil(settings.warm_up * num_steps)
    if step <= warm_up:
        return settings.learning_rate * step / warm_up
    done = (step - warm_up) / max(1, num_steps - warm_up)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
