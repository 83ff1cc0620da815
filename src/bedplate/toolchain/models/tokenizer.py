"""The tokenizer of a model folder and the tokens that end a text: read here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bedplate.core.errors import NotFoundError, UsageError

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def load_tokenizer(model: Path) -> Any:
    """The `tokenizers.Tokenizer` of a model folder, without truncation and padding.

    Raises:
        NotFoundError: The folder has no `tokenizer.json`.
        UsageError: The file cannot be read, or has tokens that the model beside it does not.
    """
    from tokenizers import Tokenizer

    file = tokenizer_file(model)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception for a bad file
        raise UsageError("the tokenizer cannot be read", seen=f"{file}: {error}", expected="a tokenizers JSON file") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _check_vocabulary(tokenizer, model)
    return tokenizer


def tokenizer_file(model: Path) -> Path:
    """`tokenizer.json` of a model folder; NotFoundError where it has none."""
    file = model / "tokenizer.json"
    if not file.is_file():
        next_step = "copy the tokenizer.json of the model's source into the folder"
        raise NotFoundError("the model folder has no tokenizer", seen=model, expected="tokenizer.json", next_step=next_step)
    return file


def special_tokens(model: Path) -> dict[str, str]:
    """Texts of the special tokens that `tokenizer_config.json` names, by their names there: `bos_token`, `eos_token`, …"""
    settings = read_object(model / "tokenizer_config.json")
    named = {name: settings.get(name) for name in _SPECIAL}
    texts = {name: token.get("content") if isinstance(token, Mapping) else token for name, token in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def end_tokens(model: Path, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end a text, each once: as `config.json`, then `generation_config.json`, then the tokenizer name them.

    Raises:
        UsageError: An `eos_token_id` is no token id, or none of the model's; or a file is not JSON.
    """
    found = []
    for file in (model / name for name in ("config.json", "generation_config.json")):
        for token in _eos_of(file):
            _check_id(token, "'eos_token_id'", file)
            found.append(token)
    text = special_tokens(model).get("eos_token")
    if text is not None and (token := tokenizer.token_to_id(text)) is not None:
        found.append(token)
    return tuple(dict.fromkeys(found))


def read_object(file: Path) -> Mapping[str, Any]:
    """A JSON file of a model folder; empty where it is missing.

    Raises:
        UsageError: It is not a JSON object.
    """
    if not file.is_file():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError("not JSON", seen=f"{file}: {error}", next_step="fetch the model again") from error
    if not isinstance(data, dict):
        raise UsageError("not a JSON object", seen=file, expected="{…}", next_step="fetch the model again")
    return data


def _check_vocabulary(tokenizer: Any, model: Path) -> None:
    """Refuse a tokenizer that can give a token which the model has no row for; fewer tokens than rows is common, and fine."""
    largest, token = max(
        ((number, text) for text, number in tokenizer.get_vocab(with_added_tokens=True).items()), default=(0, "")
    )
    _check_id(largest, f"'{token}'", tokenizer_file(model))
    around = tokenizer.encode("", add_special_tokens=True).ids
    _check_id(max(around, default=0), "a token of the post-processor", tokenizer_file(model))


def _check_id(token: int, name: str, file: Path) -> None:
    """Hold a token id that `file` gives `name` to the vocabulary of the model in its folder, where that has a size."""
    size = read_object(file.parent / "config.json").get("vocab_size")
    if isinstance(size, int) and not 0 <= token < size:
        raise UsageError(
            "the tokenizer has a token that the model does not",
            seen=f"{name} is token {token} in {file}",
            expected=f"0 to {size - 1} ('vocab_size' in config.json is {size})",
            next_step="fetch tokenizer and weights from the same place, or remove the tokens that were added later",
        )


def _eos_of(file: Path) -> Iterator[int]:
    named = read_object(file).get("eos_token_id")
    for token in named if isinstance(named, list) else [] if named is None else [named]:
        if isinstance(token, bool) or not isinstance(token, int):
            raise UsageError(f"{file.name}: 'eos_token_id' is not an id", seen=named, expected="a number or a list of numbers")
        yield token
