"""Int8 weight-only, round to nearest: the scheme that needs no data and is the yardstick for those that do.

All linears of the decoder layers, the embedding table and the output head are quantised, one symmetric scale an output
channel (a token, for the table). Norms stay bf16. Cost: one pass over the weights, one matrix in fp32 at a time.

Source: the per-channel scheme of Dettmers et al. 2022 (LLM.int8()) without its outlier split, which weight-only does not need.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bedplate.core.errors import CheckFailedError, UsageError
from bedplate.toolchain.models.llama import Llama
from bedplate.toolchain.models.quantized import Int8Linear, quantize_rows, use_int8_modules


def quantize_int8(model: Llama) -> Llama:
    """A new model with int8 weights; `model` is left as it is (norms are shared).

    Raises:
        CheckFailedError: A weight is NaN or infinite.
        UsageError: The model is quantised already.
    """
    if isinstance(model.lm_head, Int8Linear):
        raise UsageError("the model is int8 already", expected="a model with plain weights")
    with torch.device("meta"):
        quantized = Llama(model.config)
        use_int8_modules(quantized)
    wanted = quantized.state_dict()
    weights: dict[str, Tensor] = {}
    tied = model.config.tie_embeddings
    for name, tensor in model.state_dict().items():
        if tied and name.startswith("lm_head."):
            continue
        weights |= _stored(name, tensor.detach(), as_int8=f"{name}_scale" in wanted)
    if tied:
        weights |= {f"lm_head.{name}": weights[f"model.embed_tokens.{name}"] for name in ("weight", "weight_scale")}
    quantized.load_state_dict(weights, strict=True, assign=True)
    return quantized


def _stored(name: str, tensor: Tensor, *, as_int8: bool) -> dict[str, Tensor]:
    if not bool(torch.isfinite(tensor).all()):
        next_step = "take an earlier checkpoint, or fetch the model again"
        raise CheckFailedError("a weight is not a number", seen=name, expected="finite weights", next_step=next_step)
    if not as_int8:
        return {name: tensor}
    weight, scale = quantize_rows(tensor)
    return {name: weight, f"{name}_scale": scale}
