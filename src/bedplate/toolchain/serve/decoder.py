"""The decoder as serving runs it: fixed shapes, fused products, keys and values in slots.

Exactness is the design. A linear layer in bf16 gives a token other bits at another number of rows, so there are only two
shapes: a prefill chunk has `chunk_tokens` rows (the last one padded) of one sequence, a decode step `max_batch` rows
(idle ones padded). In both, the bits of a row follow from its own sequence alone: products and norms work row by row,
and attention is done per sequence over its own keys. So a greedy answer is the same alone, among others, after a
restart, and with its prefix loaded instead of computed. `tests/toolchain/serve/test_exactness.py` holds it to that, and
`test_slot_decoder.py` to `Llama.forward`.

Whether one attention call over all rows gives each row the bits of a call of its own depends on torch's kernel and the
math library under it (with MKL in fp32 it does not: which thread takes a row changes how its buffers are aligned). So it
is tried at the start, and rows are only attended to together where it holds.

Grouped-query attention folds the heads that share keys into the query axis, so keys are never repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from bedplate.toolchain.models.llama import Llama, RMSNorm, rotary_tables
from bedplate.toolchain.serve.linear import Linear, fuse
from bedplate.toolchain.serve.slots import POSITION_STEP, KVSlots
from bedplate.toolchain.serve.threads import StepThreads

_Attend: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q_RHK, k_RGK, v_RGK) -> out_RD, for R rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    input_norm: RMSNorm
    qkv: Linear
    output: Linear
    feed_forward_norm: RMSNorm
    gate_up: Linear
    down: Linear


class SlotDecoder:
    """Runs a `Llama` over KV slots. One thread; call it under `torch.inference_mode()`.

    Args:
        model: The weights; quantised layers are called as they are.
        slots: Where keys and values live.
        chunk_tokens: Rows of a prefill call.
        max_batch: Rows of a decode call; the number of slots.
        threads: Of the linear algebra in each kind of step; None leaves them as they are.
    """

    def __init__(
        self, model: Llama, slots: KVSlots, chunk_tokens: int, max_batch: int, threads: StepThreads | None = None
    ) -> None:
        self.config, self.slots = model.config, slots
        self.chunk_tokens, self.max_batch = chunk_tokens, max_batch
        current = torch.get_num_threads()
        self._threads = threads or StepThreads(prefill=current, decode=current)
        self._embed = model.model.embed_tokens
        self._layers = [_fused(layer) for layer in model.model.layers]
        self._norm = model.model.norm
        self._head = fuse([model.lm_head])
        cos_1PK, sin_1PK = rotary_tables(self.config, torch.arange(slots.shape.slot_tokens)[None])
        half = self.config.head_size // 2
        sin_1PK = torch.cat((-sin_1PK[..., :half], sin_1PK[..., half:]), dim=-1)
        self._cos_P1K, self._sin_P1K = cos_1PK[0, :, None], sin_1PK[0, :, None]
        self._attends_together = self._rows_attend_alike()
        self._causal_QP = _causal_mask(self._group, chunk_tokens, slots.shape.slot_tokens, slots.shape.dtype)

    @property
    def _group(self) -> int:
        return self.config.num_heads // self.config.num_kv_heads

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Tensor:
        """Compute one chunk of one sequence; its earlier positions are in the slot.

        Args:
            slot: The sequence's slot.
            start: Position of the first token, a multiple of `chunk_tokens`.
            tokens: 1 to `chunk_tokens` tokens.

        Returns:
            hidden_CD for `logits` and `chunk_logits`; rows behind the last token hold nothing of use.
        """
        _use_threads(self._threads.prefill)
        rows, end = len(tokens), start + self.chunk_tokens
        padded = torch.tensor([*tokens, *([0] * (self.chunk_tokens - rows))])

        def attend(layer: int, q_CHK: Tensor, k_CGK: Tensor, v_CGK: Tensor) -> Tensor:
            kv_2GPK = self.slots.arena_L2SGPK[layer, :, slot, :, :end]
            kv_2GPK[0, :, start:] = k_CGK.transpose(0, 1)
            kv_2GPK[1, :, start:] = v_CGK.transpose(0, 1)
            return self._attend_chunk(q_CHK, kv_2GPK)

        return self._run(padded, self._cos_P1K[start:end], self._sin_P1K[start:end], attend)

    def logits(self, hidden_CD: Tensor, row: int) -> Tensor:
        """logits_V of one row of a chunk: the scores that choose the first generated token."""
        _use_threads(self._threads.prefill)
        logits_1V = self._head(self._norm(hidden_CD[row : row + 1]))
        return logits_1V[0]

    def chunk_logits(self, hidden_CD: Tensor) -> Tensor:
        """logits_CV of all rows of a chunk; in bf16 their last bits are not those of `logits`, which has one row."""
        _use_threads(self._threads.prefill)
        logits_CV: Tensor = self._head(self._norm(hidden_CD))
        return logits_CV

    def decode(self, tokens: Sequence[int | None], positions: Sequence[int]) -> Tensor:
        """Compute one token for each row; row r works in slot r.

        Args:
            tokens: `max_batch` tokens, None where the slot has nothing to decode.
            positions: Position of each token; ignored where the token is None.

        Returns:
            logits_MV; rows without a token hold nothing of use.
        """
        _use_threads(self._threads.decode)
        active = [row for row, token in enumerate(tokens) if token is not None]
        at = [position if token is not None else 0 for token, position in zip(tokens, positions, strict=True)]
        spans = _attention_spans(active, at, together=self._attends_together)
        places = self._flat_places(active, at)
        at_M = torch.tensor(at)
        mask_M11P = self._length_mask(at_M, max(at) + 1)

        def attend(layer: int, q_MHK: Tensor, k_MGK: Tensor, v_MGK: Tensor) -> Tensor:
            kv_2SGPK = self.slots.arena_L2SGPK[layer]
            flat = kv_2SGPK.view(2, -1, self.config.head_size)
            flat[0].index_copy_(0, places, k_MGK.reshape(-1, self.config.head_size))
            flat[1].index_copy_(0, places, v_MGK.reshape(-1, self.config.head_size))
            return self._attend_rows(q_MHK, kv_2SGPK, mask_M11P, spans)

        tokens_M = torch.tensor([token or 0 for token in tokens])
        x_MD = self._run(tokens_M, self._cos_P1K[at_M], self._sin_P1K[at_M], attend)
        logits_MV: Tensor = self._head(self._norm(x_MD))
        return logits_MV

    def _run(self, tokens_R: Tensor, cos_R1K: Tensor, sin_R1K: Tensor, attend: _Attend) -> Tensor:
        heads, kv_heads, head_size = self.config.num_heads, self.config.num_kv_heads, self.config.head_size
        x_RD: Tensor = self._embed(tokens_R)
        for index, layer in enumerate(self._layers):
            qkv_RNK = layer.qkv(layer.input_norm(x_RD)).view(-1, heads + 2 * kv_heads, head_size)
            qk_RNK = _rotate(qkv_RNK[:, : heads + kv_heads], cos_R1K, sin_R1K)
            out_RD = attend(index, qk_RNK[:, :heads], qk_RNK[:, heads:], qkv_RNK[:, heads + kv_heads :])
            x_RD = x_RD + layer.output(out_RD)
            gate_RF, up_RF = layer.gate_up(layer.feed_forward_norm(x_RD)).chunk(2, dim=-1)
            x_RD = x_RD + layer.down(F.silu(gate_RF).mul_(up_RF))
        return x_RD

    def _attend_chunk(self, q_CHK: Tensor, kv_2GPK: Tensor) -> Tensor:
        C, H, K = q_CHK.shape
        G, R, P = self.config.num_kv_heads, self._group, kv_2GPK.shape[2]
        q_1GQK = q_CHK.view(C, G, R, K).permute(1, 2, 0, 3).reshape(1, G, R * C, K)
        mask_QP = self._causal_QP[:, self._causal_QP.shape[1] - P :]
        out_1GQK = F.scaled_dot_product_attention(q_1GQK, kv_2GPK[0][None], kv_2GPK[1][None], attn_mask=mask_QP)
        return out_1GQK.view(G, R, C, K).permute(2, 0, 1, 3).reshape(C, H * K)

    def _attend_rows(self, q_MHK: Tensor, kv_2SGPK: Tensor, mask_M11P: Tensor, spans: Sequence[tuple[int, int, int]]) -> Tensor:
        M, H, K = q_MHK.shape
        q_MGRK = q_MHK.reshape(M, self.config.num_kv_heads, self._group, K)
        out_MGRK = torch.zeros_like(q_MGRK)
        for first, last, length in spans:
            keys, values = kv_2SGPK[:, first:last, :, :length]
            mask = mask_M11P[first:last, :, :, :length].expand(-1, 1, self._group, -1)
            out_MGRK[first:last] = F.scaled_dot_product_attention(q_MGRK[first:last], keys, values, attn_mask=mask)
        return out_MGRK.view(M, H * K)

    def _rows_attend_alike(self) -> bool:
        _use_threads(self._threads.decode)
        shape, length = self.slots.shape, 2 * POSITION_STEP
        random = torch.Generator().manual_seed(0)
        q_MHK = torch.randn((self.max_batch, self.config.num_heads, shape.head_size), generator=random).to(shape.dtype)
        kv_sizes = (2, self.max_batch, shape.num_kv_heads, length, shape.head_size)
        kv_2SGPK = torch.randn(kv_sizes, generator=random).to(shape.dtype)
        at_M = torch.randint(POSITION_STEP, length, (self.max_batch,), generator=random)
        mask_M11P = self._length_mask(at_M, length)
        together = self._attend_rows(q_MHK, kv_2SGPK, mask_M11P, [(0, self.max_batch, length)])
        alone = self._attend_rows(q_MHK, kv_2SGPK, mask_M11P, [(row, row + 1, length) for row in range(self.max_batch)])
        return torch.equal(together, alone)

    def _flat_places(self, active: Sequence[int], at: Sequence[int]) -> Tensor:
        """Rows of the flat arena where each row's new keys go; idle rows write into the spare slot."""
        shape, spare = self.slots.shape, self.slots.shape.num_slots
        taken = set(active)
        places = [
            ((row if row in taken else spare) * shape.num_kv_heads + head) * shape.slot_tokens + position
            for row, position in enumerate(at)
            for head in range(shape.num_kv_heads)
        ]
        return torch.tensor(places)

    def _length_mask(self, at_M: Tensor, longest: int) -> Tensor:
        hidden_MP = torch.arange(_whole_steps(longest))[None] > at_M[:, None]
        mask_MP = torch.zeros(hidden_MP.shape, dtype=self.slots.shape.dtype).masked_fill_(hidden_MP, float("-inf"))
        return mask_MP[:, None, None]


def _use_threads(count: int) -> None:
    """Of this thread's linear algebra; what `torch.set_num_threads` sets for others, they set anew."""
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def _fused(layer: torch.nn.Module) -> _Layer:
    attention, feed_forward = layer.self_attn, layer.mlp
    return _Layer(
        input_norm=layer.input_layernorm,  # type: ignore[arg-type]
        qkv=fuse([attention.q_proj, attention.k_proj, attention.v_proj]),  # type: ignore[union-attr,list-item]
        output=fuse([attention.o_proj]),  # type: ignore[union-attr,list-item]
        feed_forward_norm=layer.post_attention_layernorm,  # type: ignore[arg-type]
        gate_up=fuse([feed_forward.gate_proj, feed_forward.up_proj]),  # type: ignore[union-attr,list-item]
        down=fuse([feed_forward.down_proj]),  # type: ignore[union-attr,list-item]
    )


def _causal_mask(group: int, chunk: int, slot_tokens: int, dtype: torch.dtype) -> Tensor:
    """mask_QP for the last possible chunk; an earlier one takes its right-hand part. Query r * chunk + c is token c."""
    mask_CP = torch.zeros(chunk, slot_tokens, dtype=dtype)
    mask_CP[:, slot_tokens - chunk :].fill_(float("-inf")).triu_(1)
    return mask_CP.repeat(group, 1)


def _rotate(x_RNK: Tensor, cos_R1K: Tensor, sin_R1K: Tensor) -> Tensor:
    """As `llama.rotate`; the sign of the swapped half is in `sin`."""
    x = x_RNK.float()
    return torch.addcmul(x * cos_R1K, x.roll(x.shape[-1] // 2, -1), sin_R1K).to(x_RNK.dtype)


def _whole_steps(length: int) -> int:
    return -(-length // POSITION_STEP) * POSITION_STEP


def _attention_spans(active: Sequence[int], at: Sequence[int], *, together: bool) -> list[tuple[int, int, int]]:
    """(first row, last row + 1, keys to read): one call for all rows, unless much of what it reads would be masked."""
    lengths = {row: _whole_steps(at[row] + 1) for row in active}
    first, last, longest = active[0], active[-1] + 1, max(lengths.values())
    if together and sum(lengths.values()) >= 0.6 * longest * (last - first):
        return [(first, last, longest)]
    return [(row, row + 1, lengths[row]) for row in active]
