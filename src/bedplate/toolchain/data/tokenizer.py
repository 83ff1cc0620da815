"""The tokenizer of a model folder, as text for training and evaluation is encoded with it.

A document becomes the tokens that the tokenizer's own template gives (Llama 2 and 3 begin with BOS, SmolLM2 does not),
then one separator: the tokenizer's `<|endoftext|>` where it has one, else the model's end-of-sequence token. Training
and evaluation read the same shards, so both see text encoded alike.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bedplate.core.errors import UsageError
from bedplate.core.json import digest
from bedplate.toolchain.models.tokenizer import end_tokens, load_tokenizer, tokenizer_file

END_OF_TEXT = "<|endoftext|>"
_DECIDING_PARTS = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model")
"""Parts of a `tokenizer.json` that decide which tokens a text becomes; truncation and padding are switched off here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEncoder:
    """Turns documents into tokens; everything that decides the outcome is in `identity`."""

    tokenizer: Any
    separator: int
    digest: str
    """See `tokenizer_digest`."""
    max_token: int
    """Largest token id that a text can become."""
    prefix: tuple[int, ...] = ()
    """What the tokenizer's template puts in front of a text."""

    @classmethod
    def of(cls, model: Path) -> DocumentEncoder:
        """The encoder of a model folder.

        Raises:
            NotFoundError: The folder has no `tokenizer.json`.
            UsageError: The file cannot be read, or no token ends a document.
        """
        tokenizer = load_tokenizer(model)
        separator = separator_token(tokenizer, model)
        max_token = max([separator, *tokenizer.get_vocab(with_added_tokens=True).values()])
        return cls(
            tokenizer=tokenizer,
            separator=separator,
            digest=tokenizer_digest(model),
            max_token=max_token,
            prefix=_prefix(tokenizer),
        )

    @property
    def dtype(self) -> str:
        """Smallest little-endian type that holds every token id: the largest id counts, not how many there are."""
        return "<u2" if self.max_token < 1 << 16 else "<u4"

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the tokens of a text, for cache keys."""
        prefix = {"prefix": list(self.prefix)} if self.prefix else {}
        return {"tokenizer_digest": self.digest, "separator": self.separator, "dtype": self.dtype, **prefix}

    def encode(self, documents: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Tokens of each document, separator included; int64 (length,) each."""
        encodings = self.tokenizer.encode_batch(list(documents), add_special_tokens=True)
        return [np.array(self._ended(self._begun(encoding.ids)), dtype=np.int64) for encoding in encodings]

    def _begun(self, ids: list[int]) -> list[int]:
        """With what the template puts in front of a text once: a text that was rendered for a chat may have it already."""
        size = len(self.prefix)
        is_twice = size and tuple(ids[:size]) == tuple(ids[size : 2 * size]) == self.prefix
        return ids[size:] if is_twice else ids

    def _ended(self, ids: list[int]) -> list[int]:
        """With one separator at the end; some templates put it there themselves."""
        return ids if ids and ids[-1] == self.separator else [*ids, self.separator]


def _prefix(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens in front of a text, by the example of one letter."""
    encoding = tokenizer.encode("a", add_special_tokens=True)
    marked = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    return tuple(token for token, _ in itertools.takewhile(itemgetter(1), marked))


def tokenizer_digest(model: Path) -> str:
    """Names what a model folder's tokenizer does with a text; the layout of the file does not count. 32 hex digits.

    Raises:
        NotFoundError: The folder has no `tokenizer.json`.
        UsageError: The file is not a JSON object.
    """
    file = tokenizer_file(model)
    try:
        parts = {name: json.loads(file.read_text(encoding="utf-8")).get(name) for name in _DECIDING_PARTS}
    except (ValueError, AttributeError) as error:
        raise UsageError("the tokenizer cannot be read", seen=f"{file}: {error}", expected="a tokenizers JSON file") from error
    return digest(parts | {"model": _with_merges_as_pairs(parts["model"])})


def separator_token(tokenizer: Any, model: Path) -> int:
    """The token that ends a document.

    Raises:
        UsageError: The tokenizer has no end-of-text token, and the model names no end-of-sequence token.
    """
    token = tokenizer.token_to_id(END_OF_TEXT)
    if token is None:
        token = next(iter(end_tokens(model, tokenizer)), None)
    if token is None:
        raise UsageError("the model has no end-of-document token", seen=model, expected=f"{END_OF_TEXT} or eos_token_id")
    return int(token)


def _with_merges_as_pairs(model: Any) -> Any:
    """Older files write a merge as `"a b"`, newer ones as `["a", "b"]`."""
    if not isinstance(model, dict) or not isinstance(model.get("merges"), list):
        return model
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    return model | {"merges": merges}
