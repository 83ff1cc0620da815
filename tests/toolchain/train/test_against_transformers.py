"""Training follows transformers' own model under torch's own optimiser: every shape, embeddings tied and untied."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.models.families import read_config
from bedplate.toolchain.models.folder import load_model, save_model, shape_only
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.train.exchange import Exchange
from bedplate.toolchain.train.optimiser import BETA_1, BETA_2, EPSILON, learning_rate
from bedplate.toolchain.train.settings import Precision, TrainSettings
from bedplate.toolchain.train.trainer import Trainer
from tests.training_run import SilentObserver

STEPS, SEQUENCE = 5, 24
SETTINGS = TrainSettings(
    model="m", data="d", sequence=SEQUENCE, micro_batch=2, accumulate=2, precision=Precision.FP32, learning_rate=1e-2, clip=0.5
)
SETTINGS = dataclasses.replace(SETTINGS, tokens=STEPS * SETTINGS.tokens_per_step(1))

BASE = LlamaConfig(
    vocab_size=211,
    hidden_size=48,
    intermediate_size=96,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=12,
    max_positions=64,
    rope_theta=10_000.0,
    rms_norm_eps=1e-5,
)
SHAPES = {
    "grouped-queries": BASE,  # Llama 3, TinyLlama, SmolLM2
    "as-many-kv-heads-as-heads": dataclasses.replace(BASE, num_kv_heads=4),  # Llama 2, Vicuna
    "one-kv-head": dataclasses.replace(BASE, num_kv_heads=1),
    "heads-wider-than-the-hidden-size": dataclasses.replace(BASE, head_size=16),
    "long-context-base-and-other-epsilon": dataclasses.replace(BASE, rope_theta=500_000.0, rms_norm_eps=1e-6),
}


class RandomBatches:
    """Tokens by position, the same in every run."""

    def micro_batch(self, step: int, index: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1000 * step + index)
        tokens_BT = torch.randint(BASE.vocab_size, (SETTINGS.micro_batch, SEQUENCE + 1), generator=generator)
        return tokens_BT[:, :-1], tokens_BT[:, 1:]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_losses_and_weights_are_those_of_transformers(tmp_path: Path, shape: str, tied: bool) -> None:
    base = make_base(dataclasses.replace(SHAPES[shape], tie_embeddings=tied), tmp_path)
    ours, theirs = losses_of_ours(base, tmp_path / "ours"), losses_of_transformers(base, tmp_path / "theirs")
    assert ours == pytest.approx(theirs, rel=1e-4)
    trained, expected = load_model(tmp_path / "ours"), load_model(tmp_path / "theirs")
    for (name, weight), (_, reference) in zip(trained.named_parameters(), expected.named_parameters(), strict=True):
        difference = torch.linalg.vector_norm(weight.detach() - reference.detach()) / reference.detach().norm()
        assert float(difference) < 1e-3, name


def make_base(config: LlamaConfig, folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Llama(config)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.05)
    save_model(model, folder / "base", torch.float32)
    return folder / "base"


def losses_of_ours(base: Path, result: Path) -> list[float]:
    trainer = Trainer(
        model=shape_only(read_config(base)),
        settings=SETTINGS,
        workers=1,
        exchange=Exchange(rank=0, world_size=1),
        data=RandomBatches(),
        observer=SilentObserver(),
    )
    trainer.start({name: weight.detach() for name, weight in load_model(base).named_parameters()})
    losses = [trainer.train_step().loss for _ in range(STEPS)]
    save_model(trainer.model, result, torch.float32)
    return losses


def losses_of_transformers(base: Path, result: Path) -> list[float]:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": SETTINGS.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=(BETA_1, BETA_2), eps=EPSILON)
    losses = []
    for step in range(1, STEPS + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(SETTINGS, step, STEPS)
        optimiser.zero_grad()
        losses.append(sum(_backward(model, *RandomBatches().micro_batch(step, index)) for index in range(2)) / 2)
        torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.clip)
        optimiser.step()
    model.save_pretrained(result)
    assert all(math.isfinite(loss) for loss in losses)
    return losses


def _backward(model: torch.nn.Module, inputs_BT: Tensor, targets_BT: Tensor) -> float:
    logits_BTV = model(input_ids=inputs_BT).logits
    loss = torch.nn.functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
    (loss / SETTINGS.accumulate).backward()
    return float(loss.detach())
