"""KV blocks: what identifies one, and what a store of them promises.

A block is the KV of a fixed number of tokens under everything that decided its bytes. Its key chains over the prefix:
key_i = BLAKE2b-256(key_{i-1} || tokens_i), and key_{-1} is the digest of the namespace. Equal keys mean equal prefixes
in equal namespaces; the tenant's salt is part of the namespace, so tenants cannot meet, nor probe for each other.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeAlias

from bedplate.core.json import canonical

BlockKey: TypeAlias = bytes
"""32 bytes."""
Buffer: TypeAlias = "bytes | bytearray | memoryview"

KV_STORE = "kv"
"""Name of the KV store in a serving task's `stores`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KVNamespace:
    """Everything besides the tokens that decides the bytes of a block."""

    model: str
    weights_digest: str
    dtype: str
    layout: str
    """How the bytes of a block are ordered, and everything in the computation that can change their bits."""
    block_tokens: int
    tenant: str = ""
    """Salt: blocks of different tenants never meet."""

    def root(self) -> BlockKey:
        """The key before the first block."""
        return hashlib.blake2b(canonical(asdict(self)).encode(), digest_size=32).digest()


def chain_keys(namespace: KVNamespace, tokens: Sequence[int]) -> list[BlockKey]:
    """Keys of all whole blocks of `tokens`, in order; the incomplete tail has none.

    O(tokens); about 1 µs a block of 64 tokens.
    """
    key, size = namespace.root(), namespace.block_tokens
    keys = []
    for start in range(0, len(tokens) - size + 1, size):
        key = hashlib.blake2b(key + struct.pack(f"<{size}I", *tokens[start : start + size]), digest_size=32).digest()
        keys.append(key)
    return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KVStoreStatistics:
    """Counters since the store was opened, and its size now."""

    blocks: int = 0
    bytes: int = 0
    asked_blocks: int = 0
    hit_blocks: int = 0
    put_blocks: int = 0
    evicted_blocks: int = 0
    damaged_blocks: int = 0
    """Blocks whose checksum did not match; each was dropped and counted as a miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityReport:
    """What a full check found."""

    blocks: int
    damaged: tuple[str, ...]
    """Keys (hex) or places of damaged blocks."""
    seconds: float


class KVBlockStore(Protocol):
    """A store of KV blocks. Thread-safe. A block that is damaged is a miss, never an answer."""

    def match(self, keys: Sequence[BlockKey]) -> int:
        """How many of `keys`, from the first, are stored: the longest stored prefix."""
        ...

    def get(self, keys: Sequence[BlockKey], into: Sequence[memoryview]) -> int:
        """Copy blocks into writable buffers of the exact size; stops at the first that is missing or damaged.

        Returns:
            Number of blocks loaded, from the first.
        """
        ...

    def put(self, keys: Sequence[BlockKey], blocks: Sequence[Buffer]) -> int:
        """Store blocks; one that is there already costs nothing. Returns how many were new.

        Args:
            keys: A chain. With more keys than blocks, the first keys are the prefix that the blocks continue.
            blocks: The blocks of the last keys.
        """
        ...

    def statistics(self) -> KVStoreStatistics:
        """Counters."""
        ...

    def check_integrity(self) -> IntegrityReport:
        """Read and verify every block."""
        ...

    def close(self) -> None:
        """Flush and release; the persistent part can be opened again."""
        ...
