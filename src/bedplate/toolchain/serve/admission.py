"""What the engine can take at all: how long a sequence may be, and which requests make sense."""

from __future__ import annotations

import math

import torch

from bedplate.core.errors import ContextLengthError, ResourcesError, UsageError
from bedplate.core.generation import MAX_LOGPROBS, GenerationRequest, SamplingSettings
from bedplate.core.units import format_bytes
from bedplate.toolchain.models.config import LlamaConfig
from bedplate.toolchain.serve.settings import EngineSettings
from bedplate.toolchain.serve.slots import POSITION_STEP, SlotShape


def check_request(request: GenerationRequest, context_tokens: int, vocab_size: int) -> None:
    """Refuse a request that could never be served.

    Raises:
        UsageError: No prompt, nothing to generate, a token that the model does not know, or a setting out of its range.
        ContextLengthError: Prompt and answer do not fit.
    """
    prompt, total = request.prompt, len(request.prompt) + request.max_new_tokens
    if not prompt:
        raise UsageError("the prompt is empty", expected="at least one token")
    if request.max_new_tokens < (1 if request.prompt_logprobs is None else 0):
        raise UsageError("nothing to generate", seen=request.max_new_tokens, expected="max_new_tokens of at least 1")
    _check_sampling(request.sampling)
    for number in (request.logprobs, request.prompt_logprobs):
        if number is not None and not 0 <= number <= MAX_LOGPROBS:
            raise UsageError("too many log-probabilities", seen=number, expected=f"0 to {MAX_LOGPROBS} at each position")
    if total > context_tokens:
        raise ContextLengthError(
            "prompt and answer do not fit the context",
            seen=f"{len(prompt)} + {request.max_new_tokens} tokens",
            expected=f"at most {context_tokens}",
            next_step="shorten the prompt or ask for fewer tokens",
        )
    if min(prompt) < 0 or max(prompt) >= vocab_size:
        wrong = next(token for token in prompt if not 0 <= token < vocab_size)
        raise UsageError("not a token of this model", seen=wrong, expected=f"0 to {vocab_size - 1}")


def _check_sampling(sampling: SamplingSettings) -> None:
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise UsageError("invalid temperature", seen=sampling.temperature, expected="a finite number of at least 0")
    if not 0 < sampling.top_p <= 1:
        raise UsageError("invalid top-p", seen=sampling.top_p, expected="a number above 0 and at most 1")


def fitting_context(config: LlamaConfig, dtype: torch.dtype, settings: EngineSettings) -> int:
    """Tokens that one sequence may have: the smallest of the requested length, the model's limit, and its share of `kv_memory`.

    Raises:
        ResourcesError: The share is smaller than the requested length or the shortest slot.
    """
    step = SlotShape.of(config, dtype, settings.max_batch, POSITION_STEP)
    share = settings.kv_memory // (step.token_bytes * settings.max_batch) // POSITION_STEP * POSITION_STEP
    wanted = min(settings.context_tokens or config.max_positions, config.max_positions)
    if share < min(wanted, settings.context_tokens or POSITION_STEP):
        needed = SlotShape.of(config, dtype, settings.max_batch, settings.context_tokens or POSITION_STEP)
        raise ResourcesError(
            "the KV memory is too small",
            seen=format_bytes(settings.kv_memory),
            expected=f"at least {format_bytes(needed.token_bytes * needed.slot_tokens * settings.max_batch)}",
            next_step="give more with --kv-memory, run fewer sequences with --max-batch, or shorten --context",
        )
    return min(wanted, share)
