"""The chunked loss gives the numbers and gradients of the plain one, without its logits."""

import pytest
import torch
import torch.nn.functional as F

from bedplate.toolchain.train.loss import IGNORED, cross_entropy_sum, negative_log_likelihood
from bedplate.toolchain.train.tiles import LOSS_CHUNK_TOKENS


def make_inputs(tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    hidden = torch.randn(tokens, 24, generator=generator)
    weight = torch.randn(331, 24, generator=generator)
    targets = torch.randint(331, (tokens,), generator=generator)
    targets[::5] = IGNORED
    return hidden.requires_grad_(), weight.requires_grad_(), targets


@pytest.mark.parametrize("tokens", [1, 7, LOSS_CHUNK_TOKENS, LOSS_CHUNK_TOKENS + 1, 3 * LOSS_CHUNK_TOKENS - 2])
def test_loss_and_gradients_are_those_of_the_plain_way(tokens: int) -> None:
    hidden, weight, targets = make_inputs(tokens)
    plain = F.cross_entropy(hidden @ weight.T, targets, ignore_index=IGNORED, reduction="sum")
    wanted_hidden, wanted_weight = torch.autograd.grad(plain, (hidden, weight))

    accumulated = torch.zeros_like(weight)
    loss = cross_entropy_sum(hidden, weight.detach(), targets, accumulated)
    loss.backward()
    torch.testing.assert_close(loss, plain, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(hidden.grad, wanted_hidden, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(accumulated, wanted_weight, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_the_weights_is_added_to_what_was_there() -> None:
    hidden, weight, targets = make_inputs(40)
    once, twice = torch.zeros_like(weight), torch.zeros_like(weight)
    cross_entropy_sum(hidden, weight.detach(), targets, once)
    for _ in range(2):
        cross_entropy_sum(hidden, weight.detach(), targets, twice)
    torch.testing.assert_close(twice, 2 * once)


def test_evaluation_gives_the_same_sum() -> None:
    hidden, weight, targets = make_inputs(300)
    plain = F.cross_entropy(hidden @ weight.T, targets, ignore_index=IGNORED, reduction="sum")
    assert float(negative_log_likelihood(hidden, weight, targets)) == pytest.approx(plain.item(), rel=1e-6)
