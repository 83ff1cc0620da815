"""The tokenizer of a model folder, as the API server needs it (`service/openai/texts/codec.py`)."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedplate.toolchain.models.tokenizer import end_tokens, load_tokenizer, read_object, special_tokens
from bedplate.toolchain.serve.token_bytes import bytes_of_token, is_byte_level

_LONG_TEXT = 10_000
"""Characters from which a text is encoded without the interpreter's lock; that takes longer, so not for each short one."""


class FolderCodec:
    """Tokenizer, chat template and stop tokens of a Hugging Face folder.

    Raises:
        NotFoundError: There is no `tokenizer.json`.
        UsageError: It cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer: Any = load_tokenizer(folder)
        self._is_byte_level = is_byte_level(self._decoder_settings())
        self._added: Mapping[int, str] = {
            token: added.content for token, added in self._tokenizer.get_added_tokens_decoder().items()
        }
        specials = (token for token, added in self._tokenizer.get_added_tokens_decoder().items() if added.special)
        self.control_tokens: Mapping[int, str] = {token: self._added[token] for token in specials}
        self.max_token_bytes = max(len(text.encode()) for text in self._tokenizer.get_vocab())
        self.chat_template: str | None = _chat_template(folder)
        self.special_tokens: Mapping[str, str] = special_tokens(folder)
        self.stop_tokens: tuple[int, ...] = tuple(sorted(end_tokens(folder, self._tokenizer)))

    def encode(self, text: str, *, add_special_tokens: bool, control_tokens: bool = True) -> list[int]:
        """See `TextCodec.encode`."""
        tokenizer = self._tokenizer if control_tokens else self._plain_tokenizer
        if len(text) < _LONG_TEXT:
            encoding = tokenizer.encode(text, add_special_tokens=add_special_tokens)
        else:
            encoding = tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0]
        tokens: list[int] = encoding.ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """See `TextCodec.decode`."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def token_bytes(self, token: int) -> bytes:
        """See `TextCodec.token_bytes`; nothing for a token that the tokenizer does not have."""
        if token in self._added:
            return self._added[token].encode()
        return bytes_of_token(self._tokenizer.id_to_token(token) or "", is_byte_level=self._is_byte_level)

    def _decoder_settings(self) -> Mapping[str, Any] | None:
        decoder = self._tokenizer.decoder
        return None if decoder is None else json.loads(decoder.__getstate__())  # its part of tokenizer.json

    @functools.cached_property
    def _plain_tokenizer(self) -> Any:
        """A copy that takes control tokens for text."""
        from tokenizers import Tokenizer

        plain = Tokenizer.from_str(self._tokenizer.to_str())
        plain.encode_special_tokens = True
        return plain


def _chat_template(folder: Path) -> str | None:
    if (file := folder / "chat_template.jinja").is_file():
        return file.read_text(encoding="utf-8")
    template = read_object(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None
