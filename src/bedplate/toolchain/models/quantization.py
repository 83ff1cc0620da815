"""How `config.json` says that weights are int8: in the words of compressed-tensors. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedplate.core.errors import UsageError

QUANTIZATION_CONFIG: Mapping[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear", "Embedding"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": None,
            "output_activations": None,
        }
    },
    "ignore": [],
}


def is_int8(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` says that its weights are int8 as this file writes them.

    Raises:
        UsageError: They are quantised in another way.
    """
    quantization = config.get("quantization_config")
    if not quantization:
        return False
    if (quantization.get("quant_method"), quantization.get("format")) != ("compressed-tensors", "int-quantized"):
        seen = f"{quantization.get('quant_method')} {quantization.get('format')}"
        raise UsageError("a quantisation that is not supported", seen=seen, expected="compressed-tensors int-quantized")
    return True
