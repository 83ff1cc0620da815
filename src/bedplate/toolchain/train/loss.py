"""The last linear layer and cross-entropy in one, over chunks of tokens: the full logits never exist.

Problem: with a vocabulary of 49,152, the fp32 logits of 512 tokens are 100 MB, and autograd would keep them, their
softmax and a gradient of the same size. Idea: take a chunk of tokens, compute its logits, its loss and immediately the
gradients of its hidden states and of the weights, and drop the logits (Liger kernel, Hsu et al. 2024; Wijmans et al.
2024). Ours adds the weights' gradient to an fp32 buffer that the caller owns, so that chunks and micro-batches add up
without rounding to bf16 and without another vocabulary-sized buffer. 3 matrix products per chunk, as the plain way.

Shape suffixes: N tokens, D hidden, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from bedplate.toolchain.train.tiles import LOSS_CHUNK_TOKENS

IGNORED = -100
"""Target of a token that has no loss."""


def cross_entropy_sum(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, weight_gradient_VD: Tensor) -> Tensor:
    """Sum of the cross-entropy of all tokens whose target is not IGNORED; fp32 scalar.

    Calling it already adds the gradient of the sum with respect to `weight_VD` to `weight_gradient_VD` (fp32); `backward`
    with the default gradient of 1 then yields that of `hidden_ND`. Any later scaling must apply to the entire gradient.
    """
    # Detached: its gradient is complete already. Autograd would run the weight's hooks all the same, with no gradient to take.
    arguments = (hidden_ND, weight_VD.detach(), targets_N, weight_gradient_VD)
    loss: Tensor = _CrossEntropySum.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, weight_gradient_VD: Tensor
    ) -> Tensor:
        gradient_ND = torch.empty_like(hidden_ND)
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        for start in range(0, len(hidden_ND), LOSS_CHUNK_TOKENS):
            rows = slice(start, start + LOSS_CHUNK_TOKENS)
            loss, logit_gradient_NV = _loss_and_gradient(hidden_ND[rows] @ weight_VD.T, targets_N[rows])
            total += loss
            torch.mm(logit_gradient_NV, weight_VD, out=gradient_ND[rows])
            weight_gradient_VD += logit_gradient_NV.T @ hidden_ND[rows]
        ctx.save_for_backward(gradient_ND)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient_ND,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient_ND * gradient.to(gradient_ND.dtype), None, None, None


def _loss_and_gradient(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    counted_N1 = (targets_N != IGNORED)[:, None]
    index_N1 = targets_N.clamp(min=0)[:, None]
    log_softmax_NV = F.log_softmax(logits_NV, dim=-1, dtype=torch.float32)
    loss = -(log_softmax_NV.gather(1, index_N1) * counted_N1).sum()
    gradient_NV = log_softmax_NV.exp_()
    gradient_NV.scatter_add_(1, index_N1, -torch.ones_like(index_N1, dtype=torch.float32))
    if not bool(counted_N1.all()):
        gradient_NV *= counted_N1
    return loss, gradient_NV.to(logits_NV.dtype)


@torch.no_grad()
def negative_log_likelihood(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> Tensor:
    """The same sum without gradients, for evaluation; float64 scalar in host memory: not every device has float64."""
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(hidden_ND), LOSS_CHUNK_TOKENS):
        rows = slice(start, start + LOSS_CHUNK_TOKENS)
        logits_NV = (hidden_ND[rows] @ weight_VD.T).float()
        total += F.cross_entropy(logits_NV, targets_N[rows], ignore_index=IGNORED, reduction="sum").cpu()
    return total
