"""Attention in blocks is causal attention."""

import pytest
import torch

from bedplate.toolchain.models.llama import attend_causally
from bedplate.toolchain.train.attention import attend_in_blocks
from bedplate.toolchain.train.tiles import ATTENTION_BLOCK


@pytest.mark.parametrize("tokens", [1, ATTENTION_BLOCK - 1, ATTENTION_BLOCK, 2 * ATTENTION_BLOCK + 3])
def test_outputs_and_gradients_equal_the_fused_kernel(tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, heads, tokens, 16, generator=generator, requires_grad=True) for heads in (6, 2, 2)]
    ours, theirs = attend_in_blocks(0, *inputs), attend_causally(0, *inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    direction = torch.randn(ours.shape, generator=generator)
    for mine, wanted in zip(
        torch.autograd.grad(ours, inputs, direction), torch.autograd.grad(theirs, inputs, direction), strict=True
    ):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


def test_a_later_token_changes_nothing_before_it() -> None:
    q, k, v = torch.randn(3, 1, 2, 2 * ATTENTION_BLOCK, 8).unbind(0)
    before = attend_in_blocks(0, q, k, v)
    k[:, :, ATTENTION_BLOCK + 5] += 1
    after = attend_in_blocks(0, q, k, v)
    assert torch.equal(before[:, :, : ATTENTION_BLOCK + 5], after[:, :, : ATTENTION_BLOCK + 5])
    assert not torch.equal(before[:, :, ATTENTION_BLOCK + 5 :], after[:, :, ATTENTION_BLOCK + 5 :])
