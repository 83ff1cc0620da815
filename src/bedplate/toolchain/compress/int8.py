"""Int8 weight-only, round to nearest: the schemes that need no data and are the yardstick for those that do.

`int8`: all linears of the decoder layers, the embedding table and the output head are quantised, one symmetric scale an
output channel (a token, for the table). `int8-linear`: table and head stay bf16, which costs their size and is what vLLM
can load (its CPU build has no kernel for it). Norms stay bf16. Cost: one pass over the weights, one matrix in fp32 at a time.

Source: the per-channel scheme of Dettmers et al. 2022 (LLM.int8()) without its outlier split, which weight-only does not need.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bedplate.core.errors import UsageError
from bedplate.toolchain.models.finite import check_finite
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.quantization import Storage
from bedplate.toolchain.models.quantized import quantize_rows, storage_in_memory, use_int8_modules


def quantize_int8(model: Llama, storage: Storage = Storage.INT8) -> Llama:
    """A new model with int8 weights; `model` is left as it is (what is not quantised is shared).

    Args:
        model: A decoder with plain weights.
        storage: Which matrices become int8.

    Raises:
        IntegrityError: A weight is NaN or infinite.
        UsageError: The model is quantised already.
    """
    if storage_in_memory(model) is not Storage.PLAIN:
        raise UsageError("the model is already compressed", expected="a model with plain weights")
    with torch.device("meta"):
        quantized = Llama(model.config)
        use_int8_modules(quantized, storage)
    wanted, tied = quantized.state_dict(), model.config.tie_embeddings
    weights: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if not (tied and name.startswith("lm_head.")):
            weights |= _stored(name, tensor.detach(), as_int8=f"{name}_scale" in wanted)
    if tied:
        weights |= {f"lm_head.{name}": weights[f"model.embed_tokens.{name}"] for name in quantized.lm_head.state_dict()}
    quantized.load_state_dict(weights, strict=True, assign=True)
    return quantized


def _stored(name: str, tensor: Tensor, *, as_int8: bool) -> dict[str, Tensor]:
    check_finite(name, tensor)
    if not as_int8:
        return {name: tensor}
    weight, scale = quantize_rows(tensor)
    return {name: weight, f"{name}_scale": scale}
