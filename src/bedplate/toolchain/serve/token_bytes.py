"""What bytes of text a single token stands for, from the way its tokenizer writes tokens down.

Two ways are in use. Byte-level BPE (GPT-2, Llama 3, Qwen) writes each byte as a printable character, by a fixed table.
SentencePiece (Llama 2, Mistral, Gemma) writes text, `▁` for a blank, and `<0xE6>` for a byte that no other token has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def bytes_of_token(text: str, *, is_byte_level: bool) -> bytes:
    """The bytes of an ordinary token.

    Args:
        text: The token as the vocabulary has it.
        is_byte_level: See `is_byte_level`.
    """
    if is_byte_level:
        return b"".join(_BYTE_OF_CHARACTER.get(character, character.encode()) for character in text)
    if (byte := _BYTE.fullmatch(text)) is not None:
        return bytes([int(byte[1], 16)])
    return text.replace("\u2581", " ").encode()


def is_byte_level(decoder: Mapping[str, Any] | None) -> bool:
    """Whether a `decoder` of a tokenizer.json is of the byte-level kind."""
    if decoder is None:
        return False
    return decoder.get("type") == "ByteLevel" or any(map(is_byte_level, decoder.get("decoders", ())))


def _byte_table() -> dict[str, int]:
    """GPT-2's table: printable Latin-1 characters stand for themselves, the other bytes for characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + index): byte for index, byte in enumerate(others)}


_BYTE_OF_CHARACTER = {character: bytes([byte]) for character, byte in _byte_table().items()}
