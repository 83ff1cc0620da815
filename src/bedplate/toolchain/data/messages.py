"""What a tokenising task is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TokeniseTask:
    """The `spec` of `workers.tokenize`."""

    corpus: Path
    """Folder that `write_corpus` made."""
    model: Path
    """Folder whose tokenizer is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedCorpus:
    """What `workers.tokenize` returns."""

    folder: Path
    """The token shards."""
    num_tokens: Mapping[str, int]
    """By split."""
