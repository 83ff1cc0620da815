"""A Llama-family decoder in plain torch: one definition for training, compression and serving.

Parameter names are those of the Hugging Face checkpoints, so files load without a mapping. What differs between
training and serving is only where keys and values live; that is the `attend` argument. Why not transformers' class:
importing it takes seconds at every worker start, and its cache and mask machinery costs more than the arithmetic of a
small model on a CPU. `tests/toolchain/models` holds it to transformers' logits.

Shape suffixes: B batch, T tokens, D hidden, H query heads, G key/value heads, K head size, F feed-forward, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bedplate.toolchain.models.config import LlamaConfig

Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q_BHTK, k_BGTK, v_BGTK) -> out_BHTK; q and k are already rotated."""


class RMSNorm(nn.Module):
    """x / rms(x) * weight, computed in fp32 whatever the input (Zhang & Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as `x`."""
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query self-attention with rotary positions; keys and values are kept by `attend`."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_size = layer, config.head_size
        self.q_proj = nn.Linear(config.hidden_size, config.num_heads * config.head_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, config.num_kv_heads * config.head_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, config.num_kv_heads * config.head_size, bias=False)
        self.o_proj = nn.Linear(config.num_heads * config.head_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor, cos_BTK: Tensor, sin_BTK: Tensor, attend: Attend) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        B, T, _ = x_BTD.shape
        q_BHTK = self.q_proj(x_BTD).view(B, T, -1, self.head_size).transpose(1, 2)
        k_BGTK = self.k_proj(x_BTD).view(B, T, -1, self.head_size).transpose(1, 2)
        v_BGTK = self.v_proj(x_BTD).view(B, T, -1, self.head_size).transpose(1, 2)
        out_BHTK = attend(self.layer, rotate(q_BHTK, cos_BTK, sin_BTK), rotate(k_BGTK, cos_BTK, sin_BTK), v_BGTK)
        out_BTD: Tensor = self.o_proj(out_BHTK.transpose(1, 2).reshape(B, T, -1))
        return out_BTD


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out_BTD: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return out_BTD


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each behind a norm, each added to its input."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x_BTD: Tensor, cos_BTK: Tensor, sin_BTK: Tensor, attend: Attend) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), cos_BTK, sin_BTK, attend)
        out_BTD: Tensor = x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))
        return out_BTD


class _Body(nn.Module):
    """Holds the parameters under the name `model.`, as the checkpoints have them."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Llama(nn.Module):
    """The decoder. `forward` gives hidden states; `logits` turns the ones that are wanted into scores."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, tokens_BT: Tensor, positions_BT: Tensor | None = None, attend: Attend | None = None) -> Tensor:
        """Final hidden states, normalised.

        Args:
            tokens_BT: Token ids, int64.
            positions_BT: Position of each token; 0, 1, 2, … where it is None.
            attend: Where keys and values live; plain causal attention over these tokens where it is None.

        Returns:
            hidden_BTD in the dtype of the weights (or of autocast).
        """
        if positions_BT is None:
            positions_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device).expand_as(tokens_BT)
        x_BTD = self.model.embed_tokens(tokens_BT)
        cos_BTK, sin_BTK = rotary_tables(self.config, positions_BT)
        for layer in self.model.layers:
            x_BTD = layer(x_BTD, cos_BTK, sin_BTK, attend or attend_causally)
        out_BTD: Tensor = self.model.norm(x_BTD)
        return out_BTD

    def logits(self, hidden_BTD: Tensor) -> Tensor:
        """(…, D) -> (…, V)."""
        out_BTV: Tensor = self.lm_head(hidden_BTD)
        return out_BTV


def attend_causally(layer: int, q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor) -> Tensor:
    """Causal attention over the tokens at hand; nothing is kept."""
    grouped = q_BHTK.shape[1] != k_BGTK.shape[1]
    return F.scaled_dot_product_attention(q_BHTK, k_BGTK, v_BGTK, is_causal=True, enable_gqa=grouped)


def rotary_tables(config: LlamaConfig, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
    """cos_BTK and sin_BTK in fp32 (Su et al. 2021, with the two halves of a head rotated together as in the checkpoints)."""
    exponents_K = torch.arange(0, config.head_size, 2, device=positions_BT.device, dtype=torch.float32) / config.head_size
    angles_BTK = positions_BT.float()[..., None] * config.rope_theta**-exponents_K
    angles_BTK = torch.cat((angles_BTK, angles_BTK), dim=-1)
    return angles_BTK.cos(), angles_BTK.sin()


def rotate(x_BHTK: Tensor, cos_BTK: Tensor, sin_BTK: Tensor) -> Tensor:
    """Rotate heads by position; computed in fp32, returned in the dtype of `x`."""
    x = x_BHTK.float()
    first, second = x.chunk(2, dim=-1)
    rotated = x * cos_BTK[:, None] + torch.cat((-second, first), dim=-1) * sin_BTK[:, None]
    return rotated.to(x_BHTK.dtype)
