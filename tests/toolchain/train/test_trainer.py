"""A step is exact however it is cut: into micro-batches, or over ranks."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bedplate.core.errors import BedplateError
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.train.exchange import Exchange
from bedplate.toolchain.train.loss import IGNORED
from bedplate.toolchain.train.settings import NonFinitePolicy, Precision, TrainSettings
from bedplate.toolchain.train.trainer import Trainer
from tests.training_run import SilentObserver

CONFIG = LlamaConfig(
    vocab_size=300,
    hidden_size=32,
    intermediate_size=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=8,
    max_positions=64,
)
SEQUENCES, LENGTH = 8, 24
SETTINGS = TrainSettings(model="m", data="d", tokens=10_000, sequence=LENGTH, precision=Precision.FP32, learning_rate=1e-3)


class CutSequences:
    """The same eight sequences of unequal length at every step, in micro-batches of `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        generator = torch.Generator().manual_seed(1)
        self.tokens = torch.randint(CONFIG.vocab_size, (SEQUENCES, LENGTH + 1), generator=generator)
        self.targets = self.tokens[:, 1:].clone()
        for row in range(SEQUENCES):
            self.targets[row, LENGTH - 2 * row :] = IGNORED

    def micro_batch(self, step: int, index: int) -> tuple[Tensor, Tensor]:
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.tokens[rows, :-1], self.targets[rows]


def make_trainer(size: int, **changed: Any) -> Trainer:
    torch.manual_seed(0)
    model = Llama(CONFIG)
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    settings = dataclasses.replace(SETTINGS, micro_batch=size, accumulate=SEQUENCES // size, **changed)
    trainer = Trainer(
        model=model,
        settings=settings,
        workers=1,
        exchange=Exchange(rank=0, world_size=1),
        data=CutSequences(size),
        observer=SilentObserver(),
    )
    trainer.start(weights)
    return trainer


@pytest.mark.parametrize("size", [1, 2, 4])
def test_micro_batches_of_unequal_length_add_up_to_the_full_batch(size: int) -> None:
    full, cut = make_trainer(SEQUENCES), make_trainer(size)
    for trainer in (full, cut):
        trainer._accumulate(1)
    error = torch.linalg.vector_norm(full.flat.gradients - cut.flat.gradients) / torch.linalg.vector_norm(full.flat.gradients)
    assert float(error) < 1e-6
    assert cut.train_step().loss == pytest.approx(full.train_step().loss, rel=1e-6)


def test_gradients_are_those_of_plain_autograd() -> None:
    trainer = make_trainer(2)
    trainer._accumulate(1)
    torch.manual_seed(0)
    model = Llama(CONFIG)
    data = CutSequences(SEQUENCES)
    inputs, targets = data.micro_batch(1, 0)
    logits = model.logits(model(inputs))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    loss.backward()
    for name, parameter in model.named_parameters():
        start, end = trainer.flat.layout.places[name]
        assert parameter.grad is not None
        torch.testing.assert_close(
            trainer.flat.gradients[start:end].view(parameter.shape), parameter.grad, rtol=1e-4, atol=1e-5
        )


def test_a_clipped_step_moves_by_the_direction_alone() -> None:
    loose, tight = make_trainer(2, clip=0.0), make_trainer(2, clip=1e-3)
    assert loose.train_step().gradient_norm == tight.train_step().gradient_norm > 1e-3
    scale = loose.optimiser.buffers["moment_1"].norm() / tight.optimiser.buffers["moment_1"].norm()
    assert float(scale) == pytest.approx(make_trainer(2).train_step().gradient_norm / 1e-3, rel=1e-3)


class SpoiledGradient(SilentObserver):
    """Makes one number of a step's summed gradient NaN or infinite."""

    def __init__(self, steps: tuple[int, ...], value: float) -> None:
        self.steps, self.value = steps, value
        self.trainer: Trainer | None = None

    def wait_begins(self, step: int) -> None:
        if step in self.steps and self.trainer is not None:
            self.trainer.flat.gradients[11] = self.value


def make_spoiled_trainer(steps: tuple[int, ...], value: float = math.nan, **changed: Any) -> Trainer:
    trainer = make_trainer(2, **changed)
    trainer.observer = spoiled = SpoiledGradient(steps, value)
    spoiled.trainer = trainer
    return trainer


def state_of(trainer: Trainer) -> list[Tensor]:
    return [trainer.flat.weights.clone(), *(buffer.clone() for buffer in trainer.optimiser.buffers.values())]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_step_stops_the_run_unapplied(value: float) -> None:
    trainer = make_spoiled_trainer((2,), value)
    trainer.train_step()
    before = state_of(trainer)
    with pytest.raises(BedplateError, match=r"step 2 is not finite.*gradient norm"):
        trainer.train_step()
    assert all(torch.equal(now, then) for now, then in zip(state_of(trainer), before, strict=True))


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    trainer = make_trainer(2)
    trainer.flat.weights[:] = math.nan
    with pytest.raises(BedplateError, match=r"step 1 is not finite; seen: loss nan"):
        trainer.train_step()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_skipped_step_changes_neither_weights_nor_moments(value: float) -> None:
    trainer = make_spoiled_trainer((2,), value, on_non_finite=NonFinitePolicy.SKIP)
    trainer.train_step()
    before = state_of(trainer)
    report = trainer.train_step()
    assert report.is_skipped and not math.isfinite(report.gradient_norm) and math.isfinite(report.loss)
    assert all(torch.equal(now, then) for now, then in zip(state_of(trainer), before, strict=True))
    assert (trainer.steps_done, trainer.steps_skipped, trainer.optimiser.steps_done) == (2, 1, 1)
    assert not trainer.train_step().is_skipped


@pytest.mark.parametrize("limit", [{"max_skipped_steps": 2}, {"max_skipped": 0.03}])
def test_more_skipped_steps_than_allowed_stop_the_run(limit: dict[str, Any]) -> None:
    trainer = make_spoiled_trainer((1, 3, 4), on_non_finite=NonFinitePolicy.SKIP, **limit)
    assert trainer.num_steps == 53
    for _ in range(3):
        trainer.train_step()
    message = r"step 4 is not finite: 3 of the 4 steps so far were skipped.*at most 2 skipped in 53 steps.*learning rate"
    with pytest.raises(BedplateError, match=message):
        trainer.train_step()


@pytest.mark.parametrize(
    ("steps", "share", "most"), [(8, 0.1, 1), (1000, 0.001, 1), (1000, 0.007, 7), (1000, 0.5, 10), (8, 0, 0)]
)
def test_the_share_of_skipped_steps_is_rounded_up_and_capped(steps: int, share: float, most: int) -> None:
    settings = dataclasses.replace(SETTINGS, max_skipped=share)
    assert dataclasses.replace(settings, tokens=steps * settings.tokens_per_step(1)).num_skippable(1) == most


def test_weights_that_are_not_finite_are_not_skipped_to_the_end() -> None:
    trainer = make_trainer(2, on_non_finite=NonFinitePolicy.SKIP)
    trainer.flat.weights[5] = math.inf
    with pytest.raises(BedplateError, match=r"step 1 is not finite, and no later one would be.*in the weights"):
        trainer.train_step()


def test_repeated_steps_give_the_same_bits() -> None:
    first, second = make_trainer(2, precision=Precision.BF16), make_trainer(2, precision=Precision.BF16)
    assert [first.train_step().loss for _ in range(3)] == [second.train_step().loss for _ in range(3)]
    assert torch.equal(first.flat.weights, second.flat.weights)
