"""The tokenizer of a model folder, as the door needs it (`service/openai/codec.py`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedplate.core.errors import NotFoundError, UsageError


class FolderCodec:
    """Tokenizer, chat template and stop tokens of a Hugging Face folder.

    Raises:
        NotFoundError: There is no `tokenizer.json`.
        UsageError: It cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        file = folder / "tokenizer.json"
        if not file.is_file():
            raise NotFoundError("the model has no tokenizer", seen=folder, expected="a folder with tokenizer.json")
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing narrower
            raise UsageError("the tokenizer cannot be read", seen=f"{file}: {error}", expected="a tokenizer.json") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = _read_json(folder / "tokenizer_config.json")
        self.chat_template: str | None = _chat_template(folder, settings)
        texts = {name: _token_text(settings.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
        self.special_tokens: Mapping[str, str] = {name: text for name, text in texts.items() if text is not None}
        self.stop_tokens: tuple[int, ...] = self._stop_tokens(folder)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Tokens of a text; special tokens written out in it are recognised."""
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, special ones left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def _stop_tokens(self, folder: Path) -> tuple[int, ...]:
        found: set[int] = set()
        for name in ("generation_config.json", "config.json"):
            tokens = _read_json(folder / name).get("eos_token_id")
            found.update([tokens] if isinstance(tokens, int) else tokens or [])
        if "eos_token" in self.special_tokens:
            token = self._tokenizer.token_to_id(self.special_tokens["eos_token"])
            found.update([] if token is None else [token])
        return tuple(sorted(found))


def _read_json(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        data: Mapping[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise UsageError("not JSON", seen=file, next_step="fetch the model again") from error
    return data


def _chat_template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    if (file := folder / "chat_template.jinja").is_file():
        return file.read_text()
    template = settings.get("chat_template")
    if isinstance(template, list):
        template = next((item["template"] for item in template if item.get("name") == "default"), None)
    return template


def _token_text(token: object) -> str | None:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None
