"""What the door needs of a tokenizer; the worker hands one in, so the door knows no tokenizer library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class TextCodec(Protocol):
    """Text to tokens and back. Thread-safe."""

    chat_template: str | None
    """Jinja source that turns messages into a prompt; None where the model has none."""
    special_tokens: Mapping[str, str]
    """Names that chat templates use: `bos_token`, `eos_token`, …"""
    stop_tokens: tuple[int, ...]
    """Tokens that end an answer."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Tokens of a text; with what the tokenizer puts around a document, if asked."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, without special ones; `\\ufffd` for bytes that are no character (yet)."""
        ...
