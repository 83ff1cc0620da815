"""Run by the interpreter of vLLM's environment: log-probabilities of a prompt's tokens.

    python vllm_logprobs.py MODEL DTYPE < tokens.json > logprobs.json

vLLM's CPU build has kernels for 4-bit weights only. Reading a model with 8-bit weights (names, shapes, packing, merged
projections) is the same code as on a GPU, so `ReferenceInt8` is registered as vLLM's interface for kernels of others provides:
it unpacks with vLLM's own function and multiplies in plain torch. Where vLLM has a kernel of its own, that one comes first.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}


def main() -> None:
    """The log-probability of each token but the first, and the kernel of the linears, as one line of JSON."""
    with contextlib.redirect_stdout(sys.stderr):
        answer = _logprobs(model=sys.argv[1], dtype=sys.argv[2], tokens=json.load(sys.stdin))
    print(json.dumps(answer))


def _logprobs(*, model: str, dtype: str, tokens: list[int]) -> dict[str, Any]:
    from vllm import LLM, SamplingParams

    used = _register_reference_int8()
    engine = LLM(model, dtype=dtype, enforce_eager=True, max_model_len=len(tokens) + 8, disable_log_stats=True)
    answers = engine.generate({"prompt_token_ids": tokens}, SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=1))
    positions = zip(tokens[1:], answers[0].prompt_logprobs[1:], strict=True)
    return {"logprobs": [found[token].logprob for token, found in positions], "kernel": "reference" if used else "its own"}


def _register_reference_int8() -> list[str]:
    """Returns a list that fills once the kernel is used."""
    import torch
    from vllm.model_executor.kernels.linear import register_linear_kernel
    from vllm.model_executor.kernels.linear.mixed_precision.MPLinearKernel import MPLinearKernel
    from vllm.model_executor.layers.quantization.utils.quant_utils import unpack_quantized_values_into_int32
    from vllm.platforms import PlatformEnum
    from vllm.scalar_type import scalar_types

    used: list[str] = []

    class ReferenceInt8(MPLinearKernel):  # type: ignore[misc]
        @classmethod
        def get_min_capability(cls) -> int:
            return -1

        @classmethod
        def can_implement(cls, c: Any) -> tuple[bool, str]:
            return c.weight_type == scalar_types.uint8b128 and c.group_size == -1, "int8 with one scale per channel only"

        def process_weights_after_loading(self, layer: Any) -> None:
            packed, scale, _ = self._get_weight_params(layer)
            weight = unpack_quantized_values_into_int32(packed.data, self.config.weight_type, 1) - 128
            layer.reference_weight = (weight.float() * scale.data.float()).to(self.config.act_type)
            used.append(type(self).__name__)

        def apply_weights(self, layer: Any, x: Any, bias: Any = None) -> Any:
            return torch.nn.functional.linear(x, layer.reference_weight, bias)

    register_linear_kernel(ReferenceInt8, PlatformEnum.CPU, "mp")
    return used


if __name__ == "__main__":
    main()
