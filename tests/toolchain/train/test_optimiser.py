"""Sharded AdamW is AdamW, however many ranks share it."""

import pytest
import torch

from bedplate.toolchain.train.flat import FlatParameters, Layout
from bedplate.toolchain.train.optimiser import BETA_1, BETA_2, EPSILON, ShardedAdamW, learning_rate
from bedplate.toolchain.train.settings import TrainSettings


def make_module() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(33, 70), torch.nn.LayerNorm(70), torch.nn.Linear(70, 5))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_five_steps_equal_torchs_own_with_decay_on_matrices_only(world_size: int) -> None:
    module = make_module()
    weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    matrices = [parameter for parameter in module.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in module.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=1e-2, betas=(BETA_1, BETA_2), eps=EPSILON)
    layout = Layout.of(module)
    shards = [ShardedAdamW(layout, rank, world_size, 0.1) for rank in range(world_size)]
    for shard in shards:
        shard.start_from(layout, weights)
    for step in range(5):
        generator = torch.Generator().manual_seed(step)
        gradients = torch.randn(layout.num_elements, generator=generator)
        for name, parameter in module.named_parameters():
            start, end = layout.places[name]
            parameter.grad = gradients[start:end].view(parameter.shape).clone()
        theirs.step()
        for shard in shards:
            shard.step(2 * gradients.clone(), 1e-2, scale=0.5)
    ours = torch.empty(layout.num_elements)
    for shard in shards:
        shard.write_weights(ours)
    for name, parameter in module.named_parameters():
        start, end = layout.places[name]
        torch.testing.assert_close(ours[start:end].view(parameter.shape), parameter.detach(), rtol=1e-5, atol=1e-6)


def test_gradients_add_up_in_fp32_under_bf16_weights() -> None:
    module = make_module()
    weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    flat = FlatParameters(module, torch.bfloat16)
    flat.fill(weights)
    inputs = torch.randn(9, 33).bfloat16()
    for _ in range(3):
        module(inputs).float().sum().backward()
    once = torch.zeros_like(flat.gradients).copy_(flat.gradients) / 3
    flat.gradients.zero_()
    module(inputs).float().sum().backward()
    assert flat.gradients.dtype is torch.float32
    assert torch.allclose(flat.gradients, once)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_rate_rises_to_its_peak_and_falls_to_a_tenth() -> None:
    settings = TrainSettings(model="m", data="d", learning_rate=1.0, warm_up=0.2)
    rates = [learning_rate(settings, step, 20) for step in range(1, 21)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
