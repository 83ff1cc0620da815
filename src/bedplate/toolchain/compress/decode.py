"""Decoding speed of a model at a batch size: the plain loop, without an engine around it.

Every sequence holds the same number of tokens; each step feeds one token per sequence and picks the most likely next one. Keys
and values are kept in one preallocated buffer per layer. The median step is reported, since other work on the machine only
ever adds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bedplate.toolchain.models.llama import Llama

WARM_STEPS = 3


def decode_rates(
    models: Sequence[Llama], batch: int, context: int = 128, steps: int = 24, heartbeat: Callable[[], None] = lambda: None
) -> list[float]:
    """Tokens per second over the batch, of each model, from its median step.

    The models take turns step by step, so that a busy moment of the machine hits all of them.

    Args:
        models: Decoders that `load_model` gives; bf16 where int8 kernels are to be used.
        batch: Sequences decoded together.
        context: Tokens that each holds before the first timed step.
        steps: Timed steps.
        heartbeat: Called after each step.
    """
    with torch.inference_mode():
        decoders = [_Decoder(model, batch, context, WARM_STEPS + steps) for model in models]
        for _ in range(WARM_STEPS + steps):
            for decoder in decoders:
                decoder.step()
                heartbeat()
    return [batch / statistics.median(decoder.seconds[WARM_STEPS:]) for decoder in decoders]


class _Decoder:
    def __init__(self, model: Llama, batch: int, context: int, steps: int) -> None:
        self.model, self.seconds = model, list[float]()
        self._memory = _Memory(model, batch, context + steps)
        self._memory.feed(model, (torch.arange(context) % model.config.vocab_size).expand(batch, context))
        self._token_B1 = torch.arange(batch)[:, None] % model.config.vocab_size

    def step(self) -> None:
        begin_s = time.perf_counter()
        hidden_B1D = self._memory.feed(self.model, self._token_B1)
        self._token_B1 = self.model.logits(hidden_B1D).argmax(-1)
        self.seconds.append(time.perf_counter() - begin_s)


class _Memory:
    """Keys and values of a batch of sequences of one length; shape (layer, 2, B, G, T, K)."""

    def __init__(self, model: Llama, batch: int, capacity: int) -> None:
        config = model.config
        dtype = model.model.norm.weight.dtype
        self.cache = torch.zeros(config.num_layers, 2, batch, config.num_kv_heads, capacity, config.head_size, dtype=dtype)
        self.length = 0

    def feed(self, model: Llama, tokens_BT: Tensor) -> Tensor:
        """Hidden states of the new tokens; they join the memory."""
        positions_BT = torch.arange(self.length, self.length + tokens_BT.shape[1]).expand_as(tokens_BT)
        hidden_BTD: Tensor = model(tokens_BT, positions_BT, self._attend)
        self.length += tokens_BT.shape[1]
        return hidden_BTD

    def _attend(self, layer: int, q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor) -> Tensor:
        end = self.length + q_BHTK.shape[2]
        keys, values = self.cache[layer]
        keys[:, :, self.length : end] = k_BGTK
        values[:, :, self.length : end] = v_BGTK
        is_causal = q_BHTK.shape[2] > 1
        return F.scaled_dot_product_attention(
            q_BHTK, keys[:, :, :end], values[:, :, :end], is_causal=is_causal, enable_gqa=True
        )
