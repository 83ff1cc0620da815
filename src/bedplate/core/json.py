"""What may cross a process border: JSON, and nothing else."""

from __future__ import annotations

import enum
import hashlib
import json
import math
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


def plain(value: object) -> Json:
    """`value` as JSON that can always be stored: NaN and infinities become None, tuples lists, other objects their text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def digest(value: Json) -> str:
    """BLAKE2b-128 of the canonical text, 32 hex digits."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=16).hexdigest()
