"""What the API server needs of a tokenizer; the worker provides one, so the server depends on no tokenizer library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class TextCodec(Protocol):
    """Text to tokens and back. Thread-safe; encoding a long text does not hold the interpreter's lock."""

    chat_template: str | None
    """Jinja source that turns messages into a prompt; None where the model has none."""
    special_tokens: Mapping[str, str]
    """Names that chat templates use: `bos_token`, `eos_token`, …"""
    control_tokens: Mapping[int, str]
    """Control tokens, which are not text, with their spelling: `<|im_end|>`."""
    stop_tokens: tuple[int, ...]
    """Tokens that end an answer."""
    max_token_bytes: int
    """Most UTF-8 bytes of text that one token stands for."""

    def encode(self, text: str, *, add_special_tokens: bool, control_tokens: bool = True) -> list[int]:
        """Tokens of a text.

        Args:
            text: Any text.
            add_special_tokens: Add what the tokenizer puts around a document.
            control_tokens: Whether a control token that is written out in the text becomes one.
        """
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, without control tokens; `\\ufffd` for bytes that are no character (yet)."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """What a single token stands for, which may be a part of a character; the text of a control token."""
        ...
