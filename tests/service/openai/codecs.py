"""Small tokenizers for tests of the API server."""

from collections.abc import Mapping, Sequence


class Bytes:
    """A tokenizer of bytes: every character beyond ASCII spans several tokens. It has no control tokens."""

    chat_template: str | None = None
    special_tokens: Mapping[str, str] = {}
    control_tokens: Mapping[int, str] = {}
    stop_tokens: tuple[int, ...] = ()
    max_token_bytes = 1

    def encode(self, text: str, *, add_special_tokens: bool, control_tokens: bool = True) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        return bytes([token])
