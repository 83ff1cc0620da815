"""The checksum of stored blocks: XXH3-128, about as fast as memory; it guards against accidents, keys against people."""

from __future__ import annotations

import xxhash

from bedplate.core.blocks import Buffer

CHECKSUM_BYTES = 16


def checksum(data: Buffer) -> bytes:
    """XXH3-128 of `data`, 16 bytes."""
    return xxhash.xxh3_128_digest(data)
