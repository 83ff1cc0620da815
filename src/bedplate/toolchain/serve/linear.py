"""Matrix products of the serving path: several layers in one product, weights reordered once.

Two things make small products on a CPU faster: products that share their input are one product (q, k, v; gate, up), and
oneDNN is handed weights in its own blocked order instead of reordering them at every call (8 rows of SmolLM2's shapes:
1.3 to 2 times).

Int8 weights become bf16 here, once: integers up to 127 are exact in bf16, and the scale is applied to the product, as
`Int8Linear` does it. torch's int8 kernel reads half the bytes, but at the 8 rows of a decode step it took 1.5 to 2.5
times as long as the reordered bf16 product; it wins at one row only. So int8 saves disk here, not memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bedplate.toolchain.models.quantized import Int8Linear

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""(rows, in) -> (rows, out); the bits of a row depend on the number of rows, and on nothing in the others."""


def fuse(layers: Sequence[nn.Module]) -> Linear:
    """One function for layers that share their input; their outputs are concatenated.

    Args:
        layers: Layers without bias and with the same input width, all of one kind. Kinds that are not known here are called
            as they are.
    """
    plain = [layer.weight.detach() for layer in layers if type(layer) is nn.Linear]
    if len(plain) == len(layers):
        return _pack(torch.cat(plain))
    int8 = [layer for layer in layers if type(layer) is Int8Linear]
    if len(int8) == len(layers):
        return _pack_int8(int8)
    if len(layers) == 1:
        return layers[0]
    return lambda x: torch.cat([layer(x) for layer in layers], dim=-1)


def _pack_int8(layers: Sequence[Int8Linear]) -> Linear:
    scale_O = torch.cat([layer.weight_scale[:, 0] for layer in layers])
    multiply = _pack(torch.cat([layer.weight for layer in layers]).to(scale_O.dtype))
    return lambda x: multiply(x).mul_(scale_O)


def _pack(weight: Tensor) -> Linear:
    """bf16 weights in oneDNN's order, through the operator that torch's own compiler uses; else as they are."""
    reorder = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None) if torch._C._has_mkldnn else None
    if weight.dtype is not torch.bfloat16 or weight.device.type != "cpu" or reorder is None:
        return lambda x: F.linear(x, weight)
    packed = reorder(weight.contiguous())
    multiply = torch.ops.mkldnn._linear_pointwise

    def linear(x: Tensor) -> Tensor:
        out: Tensor = multiply(x, packed, None, "none", [], "")
        return out

    return linear
