"""AdamW on one rank's slice of the weights, and the learning rate over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bedplate.toolchain.train.flat import Layout
from bedplate.toolchain.train.slices import STATE_BUFFERS
from bedplate.toolchain.train.settings import TrainSettings

BETAS = (0.9, 0.95)
"""Decay of the moments, as language models are commonly trained (Brown et al. 2020)."""


class ShardedAdamW:
    """Master weights and moments of one slice; decoupled weight decay on matrices only (Loshchilov & Hutter 2019)."""

    def __init__(self, layout: Layout, rank: int, world_size: int, weight_decay: float) -> None:
        """Buffers are allocated, not filled: `load` or `start_from` comes first."""
        self.start, self.end = layout.bounds(rank, world_size)
        self.buffers = {name: torch.empty(self.end - self.start, dtype=torch.float32) for name in STATE_BUFFERS}
        cut = min(max(layout.num_matrix_elements - self.start, 0), self.end - self.start)
        self._pieces = [piece for piece in (slice(0, cut), slice(cut, self.end - self.start)) if piece.stop > piece.start]
        self._masters = [self.buffers["master"][piece].requires_grad_() for piece in self._pieces]
        groups = [
            {"params": [master], "weight_decay": weight_decay if piece.start < cut else 0.0}
            for piece, master in zip(self._pieces, self._masters, strict=True)
        ]
        self._adamw = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)

    def start_from(self, layout: Layout, weights: Mapping[str, Tensor]) -> None:
        """Begin anew at these weights by parameter name, in whatever precision they have."""
        for name, (start, end) in layout.places.items():
            low, high = max(start, self.start), min(end, self.end)
            if low < high:
                self.buffers["master"].detach()[low - self.start : high - self.start] = weights[name].flatten()[low - start : high - start]
        self.buffers["moment_1"].zero_()
        self.buffers["moment_2"].zero_()
        self.set_steps_done(0)

    def set_steps_done(self, steps: int) -> None:
        """Bind the moments to torch's optimiser, `steps` steps into the run."""
        for piece, master in zip(self._pieces, self._masters, strict=True):
            self._adamw.state[master] = {
                "step": torch.tensor(float(steps)),
                "exp_avg": self.buffers["moment_1"][piece],
                "exp_avg_sq": self.buffers["moment_2"][piece],
            }

    def step(self, gradients: Tensor, learning_rate: float) -> None:
        """One update from the flat `gradients`, already averaged and clipped within this slice."""
        for piece, master in zip(self._pieces, self._masters, strict=True):
            master.grad = gradients[self.start + piece.start : self.start + piece.stop]
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()

    def write_weights(self, weights: Tensor) -> None:
        """Round the master weights into this rank's slice of the flat `weights`."""
        weights[self.start : self.end].copy_(self.buffers["master"].detach())


def learning_rate(settings: TrainSettings, step: int, num_steps: int) -> float:
    """Rate of step `step` (from 1): linear up, then a cosine down to a tenth of the peak."""
    warm_up = math.ceil(settings.warm_up * num_steps)
    if step <= warm_up:
        return settings.learning_rate * step / warm_up
    done = (step - warm_up) / max(1, num_steps - warm_up)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
