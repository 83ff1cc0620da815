"""The forms of `prompt` in a completion: a text, tokens, or a list of either."""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic_core import PydanticCustomError

Prompt: TypeAlias = "str | tuple[int, ...]"
"""One prompt: text, or tokens."""


def read_prompts(value: Any) -> tuple[Prompt, ...]:
    """`prompt` as a tuple of prompts.

    Raises:
        PydanticCustomError: It has none of the forms.
    """
    if isinstance(value, str):
        return (value,)
    if _are_tokens(value):
        return (tuple(value),)
    if not isinstance(value, list) or not value:
        raise PydanticCustomError("prompt_form", "prompt is empty: expected a text, tokens, or a list of texts or of tokens")
    if all(isinstance(item, str) for item in value):
        return tuple(value)
    if all(_are_tokens(item) for item in value):
        return tuple(tuple(item) for item in value)
    raise PydanticCustomError(
        "prompt_form", "expected a text, tokens (integers from 0), or a list of texts or of tokens, none of them empty"
    )


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int and 0 <= token < 2**32 for token in value)
