"""Matrix products of the serving path: several layers in one product, weights reordered once.

Two things make small products on a CPU quicker: products that share their input are one product (q, k, v; gate, up), and
oneDNN is handed weights in its own blocked order instead of reordering them at every call (8 rows of SmolLM2's shapes:
1.3 to 2 times). A layer that is not a plain `nn.Linear` (a quantised one) is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""(rows, in) -> (rows, out); the bits of a row depend on the number of rows, and on nothing in the others."""


def fuse(layers: Sequence[nn.Module]) -> Linear:
    """One function for layers that share their input; their outputs stand side by side.

    Args:
        layers: Layers without bias and with the same input width.
    """
    plain = [layer.weight.detach() for layer in layers if type(layer) is nn.Linear]
    if len(plain) == len(layers):
        return _pack(torch.cat(plain))
    if len(layers) == 1:
        return layers[0]
    return lambda x: torch.cat([layer(x) for layer in layers], dim=-1)


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
