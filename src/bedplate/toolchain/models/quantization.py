"""How `config.json` says that weights are int8: in the words of compressed-tensors, as its release 0.20 reads them. No torch.

Two layouts. `INT8`: every matrix, embedding table and output head included, as int8 `weight` and `weight_scale`; the smallest,
and what transformers loads. `INT8_LINEAR`: the linears of the layers only, four weights in one int32 (`weight_packed`,
`weight_scale`, `weight_shape`); what vLLM loads too, which has no quantised embedding, knows weight-only int8 packed only, and
multiplies it on GPUs only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from bedplate.core.errors import UsageError


class Storage(enum.StrEnum):
    """How the matrices of a model are stored."""

    PLAIN = "plain"
    """Floating point."""
    INT8 = "int8"
    """All matrices as int8."""
    INT8_LINEAR = "int8-linear"
    """Linears of the layers as packed int8; embedding table and head plain."""


_WEIGHTS = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
_NEUTRAL = ("observer", "observer_kwargs", "zp_dtype", "scale_dtype")
"""Keys of a `weights` object that say how scales were found or are stored, not what they mean."""
_OTHER_THINGS = ("kv_cache_scheme", "sparsity_config", "transform_config")
"""Keys that ask for more than quantised weights."""


def quantization_config(storage: Storage) -> dict[str, Any] | None:
    """The `quantization_config` of a `config.json`; None for plain weights."""
    if storage is Storage.PLAIN:
        return None
    everything = storage is Storage.INT8
    form = "int-quantized" if everything else "pack-quantized"
    group = {
        "targets": ["Linear", "Embedding"] if everything else ["Linear"],
        "weights": dict(_WEIGHTS),
        "input_activations": None,
        "output_activations": None,
        "format": form,  # else weight-only int8 is taken for packed
    }
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": [] if everything else ["lm_head"],
    }


def storage_of(config: Mapping[str, Any]) -> Storage:
    """How a `config.json` says that its weights are stored.

    Raises:
        UsageError: In a way that is not read here.
    """
    stated = config.get("quantization_config")
    if not stated:
        return Storage.PLAIN
    for storage in (Storage.INT8, Storage.INT8_LINEAR):
        if isinstance(stated, Mapping) and _means(stated, storage):
            return storage
    seen = {key: stated.get(key) for key in ("quant_method", "format", "ignore")} if isinstance(stated, Mapping) else stated
    raise UsageError(
        "this quantisation is not supported",
        seen=f"quantization_config {seen}",
        expected="compressed-tensors: int8 weights, symmetric, one scale per channel, unquantised activations",
        next_step="use the model with plain weights, and compress it with bedplate",
    )


def _means(stated: Mapping[str, Any], storage: Storage) -> bool:
    ours = quantization_config(storage) or {}
    groups = stated.get("config_groups")
    if not isinstance(groups, Mapping) or len(groups) != 1 or stated.get("quant_method") != ours["quant_method"]:
        return False
    (group,) = groups.values()
    return (
        stated.get("format") == ours["format"]
        and group.get("format") in (None, ours["format"])
        and (stated.get("ignore") or []) == ours["ignore"]
        and sorted(group.get("targets") or []) == sorted(ours["config_groups"]["group_0"]["targets"])
        and _without_nulls(group.get("weights") or {}) == _WEIGHTS
        and not any(value for key, value in group.items() if key not in ("targets", "weights", "format"))
        and not any(stated.get(key) for key in _OTHER_THINGS)
    )


def _without_nulls(weights: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in weights.items() if value is not None and key not in _NEUTRAL}
