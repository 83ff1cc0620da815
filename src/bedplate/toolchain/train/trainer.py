"""The training loop: accumulate, exchange, clip, update, keep. The same losses at any number of workers.

A step is a fixed set of micro-batches, numbered over all workers; rank r takes r, r + world size, … Losses and gradients
are summed over tokens, and divided once by the number of tokens of all micro-batches of all ranks: averaging averages
would weigh a short micro-batch as much as a long one. Everything that a step reads (weights, moments, step number) is in
the checkpoint, and data is a function of step and micro-batch; so a resumed run repeats the same bits.

A loss or gradient that is NaN or infinite is never applied: one such update would ruin weights and moments for good. All
ranks decide from sums that have the same bits on each, so all skip the step or none does.

Shape suffixes: B batch, T tokens of a sequence, D hidden.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from bedplate.core.errors import BedplateError
from bedplate.toolchain.models.llama import Llama, attend_causally
from bedplate.toolchain.train.attention import attend_in_blocks
from bedplate.toolchain.train.exchange import Exchange
from bedplate.toolchain.train.flat import FlatParameters
from bedplate.toolchain.train.loss import IGNORED, cross_entropy_sum, negative_log_likelihood
from bedplate.toolchain.train.messages import StepReport
from bedplate.toolchain.train.optimiser import ShardedAdamW, learning_rate
from bedplate.toolchain.train.settings import NonFinitePolicy, Precision, TrainSettings


class TrainerObserver(Protocol):
    """Learns what the trainer is about to do; each call is also a heartbeat, and there is at least one per micro-batch."""

    def forward_begins(self, step: int, micro_batch: int) -> None:
        """The forward pass of a micro-batch of this rank."""
        ...

    def backward_begins(self, step: int, micro_batch: int) -> None:
        """The backward pass of a micro-batch of this rank."""
        ...

    def evaluation_begins(self) -> None:
        """The forward pass of a batch of held-out text."""
        ...

    def wait_begins(self, step: int) -> None:
        """This rank has done its part of a step, and waits for the others in a collective."""
        ...

    def checkpoint_rejected(self, step: int, store: str, reason: str) -> None:
        """A checkpoint cannot be used; the one before it is tried."""
        ...


_MEND = "lower 'learning_rate', lengthen 'warm_up', or use 'precision: fp32'"
DTYPES = {Precision.BF16: torch.bfloat16, Precision.FP32: torch.float32}


class Batches(Protocol):
    """Training data as a function of its position: nothing to save, nothing to replay."""

    def micro_batch(self, step: int, index: int) -> tuple[Tensor, Tensor]:
        """inputs_BT and targets_BT (int64, IGNORED where there is no loss) of micro-batch `index` of step `step` (from 1)."""
        ...


class Trainer:
    """One rank of a training run. `steps_done` of the model's `num_steps` are behind it; `train_step` does the next."""

    def __init__(
        self,
        *,
        model: Llama,
        settings: TrainSettings,
        workers: int,
        exchange: Exchange,
        data: Batches,
        observer: TrainerObserver,
        device: torch.device | None = None,
        precision: Precision | None = None,
    ) -> None:
        """Take over `model`; its weights are ignored until `start` or a checkpoint fills them.

        Args:
            model: Decoder in any dtype, or on the meta device where a checkpoint follows.
            settings: The run.
            workers: Wanted workers: with `settings.accumulate` they fix the tokens of a step, however many there are.
            exchange: This rank among those that there are.
            data: Training data.
            observer: Learns what is about to be done.
            device: Where weights, gradients and moments are; None: host memory.
            precision: What forward and backward are computed in on that device; None: what `settings` want.
        """
        self.settings, self.exchange, self.data, self.observer = settings, exchange, data, observer
        self.num_steps, self.num_skippable = settings.num_steps(workers), settings.num_skippable(workers)
        self.micro_batches_per_step = settings.accumulate * workers
        self.model = model
        self.device, self.precision = device or torch.device("cpu"), precision or settings.precision
        self._attend = attend_in_blocks if self.device.type == "cpu" else attend_causally
        self.flat = FlatParameters(model, DTYPES[self.precision], self.device)
        self.optimiser = ShardedAdamW(self.flat.layout, exchange.rank, exchange.world_size, settings.weight_decay, self.device)
        self.steps_done = 0
        self.steps_skipped = 0
        """Of `steps_done`, those that were not applied."""

    def start(self, weights: dict[str, Tensor]) -> None:
        """Begin at step 0 with these weights by parameter name; master weights keep their full precision."""
        self.flat.fill(weights)
        self.optimiser.start_from(self.flat.layout, weights)

    def train_step(self) -> StepReport:
        """Do the next step.

        Raises:
            BedplateError: Loss or gradient is not finite, and the settings do not let the step be skipped.
            PeerLostError: Another rank was lost.
        """
        began_s, step = time.monotonic(), self.steps_done + 1
        self.flat.gradients.zero_()
        loss_sum, tokens = self._accumulate(step)
        computed_s = time.monotonic()
        self.observer.wait_begins(step)
        self.exchange.sum_in_place(self.flat.gradients)
        loss_sum, tokens = self.exchange.sum_scalars(loss_sum, tokens)
        summed_s = time.monotonic()
        norm, rate = self._gradient_norm() / tokens, learning_rate(self.settings, step, self.num_steps)
        is_finite = math.isfinite(loss_sum) and math.isfinite(norm)
        if is_finite:
            self._update(norm, tokens, rate)
        else:
            self._skip(step, loss_sum / tokens, norm)
        shared_s = time.monotonic()
        if is_finite:
            self.exchange.share_slices(self.flat.weights, self.flat.layout)
        self.steps_done, ended_s = step, time.monotonic()
        return StepReport(
            step=step,
            loss=loss_sum / tokens,
            tokens=round(tokens),
            gradient_norm=norm,
            learning_rate=rate,
            seconds=ended_s - began_s,
            compute_s=computed_s - began_s,
            exchange_s=summed_s - computed_s + ended_s - shared_s,
            is_skipped=not is_finite,
        )

    def negative_log_likelihood(self, batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[float, int]:
        """Sum in nats and number of tokens over all ranks' (inputs_BT, targets_BT)."""
        total, tokens = 0.0, 0
        self.model.eval()
        with torch.inference_mode():
            for inputs_BT, targets_BT in batches:
                self.observer.evaluation_begins()
                inputs_BT, targets_BT = inputs_BT.to(self.device), targets_BT.to(self.device)
                hidden_ND = self.model(inputs_BT, attend=self._attend).flatten(0, 1)
                total += float(negative_log_likelihood(hidden_ND, self.model.lm_head.weight, targets_BT.flatten()))
                tokens += int((targets_BT != IGNORED).sum())
        self.observer.wait_begins(self.steps_done)
        total, count = self.exchange.sum_scalars(total, tokens)
        return total, round(count)

    def _accumulate(self, step: int) -> tuple[float, float]:
        loss_sum, tokens = 0.0, 0
        self.model.train()
        weight = self.model.lm_head.weight
        for index in range(self.exchange.rank, self.micro_batches_per_step, self.exchange.world_size):
            self.observer.forward_begins(step, index)
            inputs_BT, targets_BT = (tokens.to(self.device) for tokens in self.data.micro_batch(step, index))
            hidden_ND = self.model(inputs_BT, attend=self._attend).flatten(0, 1)
            loss = cross_entropy_sum(hidden_ND, weight, targets_BT.flatten(), self.flat.gradient_of(weight))
            self.observer.backward_begins(step, index)
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += float(loss.detach())
            tokens += int((targets_BT != IGNORED).sum())
        return loss_sum, tokens

    def _gradient_norm(self) -> float:
        """Of the summed gradient, not yet divided by the tokens."""
        mine = self.flat.gradients[self.optimiser.start : self.optimiser.end]
        (square,) = self.exchange.sum_scalars(float(torch.linalg.vector_norm(mine)) ** 2)
        return math.sqrt(square)

    def _update(self, norm: float, tokens: float, rate: float) -> None:
        clip = min(1.0, self.settings.clip / max(norm, 1e-12)) if self.settings.clip else 1.0
        self.optimiser.step(self.flat.gradients, rate, scale=clip / tokens)
        self.optimiser.write_weights(self.flat.weights)

    def _skip(self, step: int, loss: float, norm: float) -> None:
        """Count the step as skipped, or end the run."""
        seen = f"loss {loss:g}, gradient norm {norm:g}"
        if self.settings.on_non_finite is NonFinitePolicy.STOP:
            next_step = f"{_MEND}, or skip such steps with 'on_non_finite: skip'"
            raise BedplateError(f"step {step} is not finite", seen=seen, expected="finite numbers", next_step=next_step)
        self.steps_skipped += 1
        if not bool(torch.isfinite(self.flat.weights).all()):
            raise BedplateError(
                f"step {step} is not finite, and no later one would be: an update has left NaN or infinity in the weights",
                seen=seen,
                expected="finite weights",
                next_step=_MEND,
            )
        if self.steps_skipped > self.num_skippable:
            limits = f"'max_skipped' {self.settings.max_skipped:.3g}, 'max_skipped_steps' {self.settings.max_skipped_steps}"
            raise BedplateError(
                f"step {step} is not finite: {self.steps_skipped} of the {step} steps so far were skipped",
                seen=seen,
                expected=f"at most {self.num_skippable} skipped in {self.num_steps} steps ({limits})",
                next_step=f"likely causes are a learning rate that is too high and damaged text: {_MEND}",
            )
