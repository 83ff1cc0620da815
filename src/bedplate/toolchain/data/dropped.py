"""Documents that were read and are not in the corpus, counted by the reason: nobody should learn it from a missing text."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias


class DropReason(enum.StrEnum):
    """Why a document was left out; the words of the manifest and of the terminal."""

    BLANK = "blank"
    DUPLICATE = "duplicate"
    """The same text, but for white space and the composition of characters, came before."""
    NULL = "null"
    """A row of a Parquet file without a text."""
    TOO_SHORT = "too short"
    """A stub of an encyclopedia."""
    REDIRECT = "redirect"
    OTHER_NAMESPACE = "not an article"
    """A page of discussion, a template, a category."""


Dropped: TypeAlias = Counter[DropReason]
"""Filled while documents are read; complete when they have been."""


def dropped_text(dropped: Mapping[DropReason, int]) -> str:
    """`duplicate: 3, blank: 1`, the most frequent first."""
    counted = sorted((-count, reason) for reason, count in dropped.items() if count)
    return ", ".join(f"{reason}: {-count}" for count, reason in counted)
