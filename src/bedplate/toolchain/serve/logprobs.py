"""Log-probabilities of tokens, from the scores that chose them or, for a prompt, would have.

Each position is computed on its own in fp32, so its values do not depend on what else runs. bf16 scores often tie; the smaller
token then comes first, as it does in greedy choice, so a greedy token always leads its own list.

Shape suffixes: C positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bedplate.core.generation import TokenLogprobs


def token_logprobs(logits_V: Tensor, token: int, num_top: int) -> TokenLogprobs:
    """Log-probability of `token` and of the `num_top` most likely tokens.

    Args:
        logits_V: The model's scores at one position.
        token: The token at that position.
        num_top: 0 or more; at most V are returned.
    """
    logprob_V = torch.log_softmax(logits_V.float(), dim=-1)
    top = _likeliest(logits_V, num_top)
    return TokenLogprobs(
        token=token,
        logprob=float(logprob_V[token]),
        top=tuple(zip(top.tolist(), logprob_V[top].tolist(), strict=True)),
    )


def prompt_logprobs(logits_CV: Tensor, next_tokens: Sequence[int], num_top: int) -> list[TokenLogprobs]:
    """The same for prompt tokens: row c holds the scores that predict `next_tokens[c]`.

    Raises:
        ValueError: A row's scores are not finite.
    """
    if not bool(torch.isfinite(logits_CV[: len(next_tokens)].amax(dim=-1)).all()):
        raise ValueError("the model's scores are not finite; its weights or its input are damaged")
    return [token_logprobs(logits_CV[row], token, num_top) for row, token in enumerate(next_tokens)]


def _likeliest(logits_V: Tensor, num_top: int) -> Tensor:
    """The tokens with the highest scores; scores, because two of them can round to one log-probability."""
    if num_top == 0:
        return torch.empty(0, dtype=torch.long)
    least = torch.topk(logits_V, min(num_top, len(logits_V))).values[-1]
    candidates = torch.nonzero(logits_V >= least)[:, 0]  # in order of tokens, and a stable sort keeps equals in it
    order = torch.sort(logits_V[candidates], descending=True, stable=True).indices
    return candidates[order[:num_top]]
