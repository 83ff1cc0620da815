"""What may cross a process border: JSON, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""Any JSON value."""
JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object."""


def canonical(value: Json) -> str:
    """One text for one value: sorted keys, no blanks, no NaN.

    Raises:
        ValueError: The value holds NaN or infinity.
        TypeError: The value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Json) -> str:
    """BLAKE2b-128 of the canonical text, 32 hex digits."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=16).hexdigest()
