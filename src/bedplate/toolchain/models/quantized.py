"""Int8 weights in a decoder: one symmetric scale per output channel, activations as they were.

A weight matrix is stored as int8 `weight` (O, I) and bf16 `weight_scale` (O, 1); W is about weight * weight_scale. The
embedding table is quantised likewise, a scale per token, and serves as lookup and, where embeddings are tied, as output head:
one int8 copy in memory and on disk. Norms stay bf16.

Two ways to multiply, chosen by the number of rows alone, so that the same shapes always take the same way:
few rows (decoding) read the int8 weights directly (`torch._weight_int8pack_mm`, bf16 on a CPU); many rows, or where the
kernel is missing, unpack the matrix and multiply. Both accumulate in fp32 and scale at the end.

How the files say all this: `quantization.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bedplate.toolchain.models.quantization import Storage

PACKED_ROWS = 8
"""Most rows for the int8 kernel; above, unpacking is faster (measured in docs/log/2026-11-22-data.md)."""
CHUNKED_ROWS = 32
"""Most rows that a matrix too large to unpack for a few rows, the output head, takes in chunks of `PACKED_ROWS`."""
LARGE_MATRIX = 1 << 23
KERNEL_ALIGNMENT = 16
WEIGHTS_IN_ONE = 4


class _Int8Matrix(nn.Module):
    """The two buffers; `weight` (O, I) int8, `weight_scale` (O, 1)."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, out_features: int, in_features: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.empty(out_features, in_features, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.empty(out_features, 1, dtype=torch.bfloat16))


class Int8Linear(_Int8Matrix):
    """x (…, I) -> (…, O) in the dtype of x; no bias."""

    def forward(self, x: Tensor) -> Tensor:
        """Same result as `F.linear` with the unpacked weights, up to rounding."""
        rows = x.reshape(-1, x.shape[-1])
        packed_rows = CHUNKED_ROWS if self.weight.numel() >= LARGE_MATRIX else PACKED_ROWS
        if len(rows) <= packed_rows and has_int8_kernel(x, self.weight):
            scale = self.weight_scale[:, 0]
            chunks = [torch._weight_int8pack_mm(chunk, self.weight, scale) for chunk in torch.split(rows, PACKED_ROWS)]
            out = chunks[0] if len(chunks) == 1 else torch.cat(chunks)
        else:
            out = F.linear(rows, self.weight.to(x.dtype)) * self.weight_scale[:, 0].to(x.dtype)
        return out.reshape(*x.shape[:-1], -1)


class Int8Embedding(_Int8Matrix):
    """Rows of the table by token, in bf16 or the dtype of the scale."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(…,) int64 -> (…, D)."""
        return self.weight[tokens].to(self.weight_scale.dtype) * self.weight_scale[tokens]


def has_int8_kernel(x: Tensor, weight: Tensor) -> bool:
    """Whether torch can multiply these directly.

    The kernel of torch 2.13 reads weights 16 bytes at a time from where they start, and ends the process (SIGSEGV) when a
    row does not start at a multiple of 16; `load_model` aligns what it loads.
    """
    is_aligned = weight.shape[1] % KERNEL_ALIGNMENT == 0 and weight.data_ptr() % KERNEL_ALIGNMENT == 0
    is_bf16 = x.device.type == "cpu" and x.dtype is torch.bfloat16
    return is_bf16 and is_aligned and weight.is_contiguous() and hasattr(torch, "_weight_int8pack_mm")


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round to nearest with one scale per row: (int8 (O, I), bf16 scale (O, 1)).

    The scale is rounded to bf16 first and the weights are divided by what it became, so that rounding the scale costs
    no accuracy of its own.
    """
    wide = weight.float()
    scale = (wide.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127).to(torch.bfloat16)
    return (wide / scale.float()).round().clamp(-127, 127).to(torch.int8), scale


def use_int8_modules(model: nn.Module, storage: Storage = Storage.INT8) -> None:
    """Replace the matrices that `storage` has in int8 by empty int8 ones, in place; tied embeddings stay tied."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and (storage is Storage.INT8 or name != "lm_head"):
                setattr(parent, name, Int8Linear(child.out_features, child.in_features))
            elif isinstance(child, nn.Embedding) and storage is Storage.INT8:
                setattr(parent, name, Int8Embedding(child.num_embeddings, child.embedding_dim))


def storage_in_memory(model: nn.Module) -> Storage:
    """Which of a decoder's matrices are int8."""
    kinds = {type(module) for module in model.modules()}
    return Storage.INT8 if Int8Embedding in kinds else Storage.INT8_LINEAR if Int8Linear in kinds else Storage.PLAIN


def pack(weight: Tensor) -> Tensor:
    """int8 (O, I) -> int32 (O, ceil(I / 4)): four weights in one number, each plus 128, the first in the lowest byte."""
    padded = F.pad(weight, (0, -weight.shape[1] % WEIGHTS_IN_ONE), value=-128)
    return (padded.view(torch.uint8) ^ 0x80).contiguous().view(torch.int32)


def unpack(packed: Tensor, num_columns: int) -> Tensor:
    """Inverse of `pack`: int8 (O, I)."""
    return (packed.contiguous().view(torch.uint8) ^ 0x80).view(torch.int8)[:, :num_columns].contiguous()
