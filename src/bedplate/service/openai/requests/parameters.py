"""Fields of a request that change nothing here, so that what remains can be checked strictly.

Clients send more than a server needs: hints, and fields at the value that they would have anyway. Hints are dropped; a field
that we do not support is dropped at its neutral value and refused by name at any other, since ignoring it would give another
answer than the one asked for. Null means absent, everywhere. The fields are OpenAI's, and those that vLLM and llama.cpp added.
"""

from __future__ import annotations

from typing import Any

from bedplate.service.openai.errors import ApiError, bad_request

_HINTS = frozenset(
    {
        "cache_prompt",
        "metadata",
        "parallel_tool_calls",
        "prediction",
        "priority",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "request_id",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""Fields that do not change the answer: they identify, account for, or speed up a request."""

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "add_special_tokens": (False,),
    "chat_template_kwargs": ({},),
    "continue_final_message": (False,),
    "documents": ([],),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "reasoning_effort": ("none",),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (-1, 0),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
}
"""Unsupported fields, and the values at which they have no effect."""

_UNSUPPORTED = frozenset({"audio", "moderation", "web_search_options"})
"""Unsupported fields that have an effect at any value but null."""


def without_nulls(value: Any) -> Any:
    """`value` without the members of objects that are null; lists keep their length."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        if value and isinstance(value[0], int):  # a prompt of a million tokens
            return value
        return [without_nulls(item) for item in value]
    return value


def without_neutral(body: dict[str, Any], supported: frozenset[str]) -> dict[str, Any]:
    """The fields of `body` that matter.

    Args:
        body: A request without nulls.
        supported: Fields that this request supports; they are kept at any value.

    Raises:
        ApiError: A field asks for something unsupported (400).
    """
    kept = {}
    for name, value in body.items():
        if name in supported:
            kept[name] = value
        elif name in _HINTS or _is_neutral(name, value, body):
            continue
        elif name in _NEUTRAL or name in _UNSUPPORTED or name == "best_of":
            raise _unsupported(name)
        else:
            kept[name] = value  # unknown: the schema refuses it with its name
    return kept


def _is_neutral(name: str, value: Any, body: dict[str, Any]) -> bool:
    if name == "best_of":
        return bool(value == body.get("n", 1))
    if name in ("tools", "functions") and body.get({"tools": "tool_choice", "functions": "function_call"}[name]) == "none":
        return True
    return any(value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in _NEUTRAL.get(name, ()))


def _unsupported(name: str) -> ApiError:
    ways = " or ".join(repr(value) for value in _NEUTRAL.get(name, ()))
    instead = f", or send {ways}" if ways else ""
    return bad_request(f"'{name}' is not supported by this server: leave it out{instead}", name, "unsupported_parameter")
