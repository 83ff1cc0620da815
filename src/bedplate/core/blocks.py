"""KV blocks: what identifies one, and what a store of them promises.

A block is the KV of a fixed number of tokens under everything that decided its bytes. Its key chains over the prefix:
key_i = BLAKE2b-256(key_{i-1} || tokens_i), and key_{-1} is the digest of the namespace. Equal keys mean equal prefixes
in equal namespaces; the tenant's salt is part of the namespace, so tenants cannot meet, nor probe for each other.

Engines of others name their blocks by hashes of their own. Such a hash becomes a key through `adopted_key`, in a namespace
whose `key_scheme` says where it comes from.
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


KEY_BYTES = 32
OWN_KEY_SCHEME = "bedplate-chain-2"
"""Names the recipe of `chain_keys`; another recipe takes another name, so that keys of both can never be equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KVNamespace:
    """Everything but the tokens that decides the bytes of a block."""

    weights_digest: str
    config_digest: str
    """Digest of what the model's config says about the computation: rotary base, epsilons, numbers of heads, activation."""
    dtype: str
    layout: str
    """How the bytes of a block are ordered, with a version of the code that computes them, and everything in the
    environment that can change their bits."""
    block_tokens: int
    tenant: str = ""
    """Salt: blocks of different tenants never meet."""
    adapter: str = ""
    """Digest of an adapter that takes part in the computation; empty without one."""
    shard: str = ""
    """Which part of the heads or layers a block holds, like `tensor 1 of 4`; empty where it holds all."""
    key_scheme: str = OWN_KEY_SCHEME
    """Who names the blocks: `chain_keys`, or an engine whose hashes come in through `adopted_key`."""

    def root(self) -> BlockKey:
        """The key before the first block."""
        return hashlib.blake2b(canonical(asdict(self)).encode(), digest_size=KEY_BYTES).digest()


def chain_keys(namespace: KVNamespace, tokens: Sequence[int]) -> list[BlockKey]:
    """Keys of all complete blocks of `tokens`, in order; an incomplete last block has none.

    O(tokens); about 1 µs per block of 64 tokens.
    """
    key, size = namespace.root(), namespace.block_tokens
    keys = []
    for start in range(0, len(tokens) - size + 1, size):
        key = hashlib.blake2b(key + struct.pack(f"<{size}I", *tokens[start : start + size]), digest_size=KEY_BYTES).digest()
        keys.append(key)
    return keys


def adopted_key(namespace: KVNamespace, foreign: bytes) -> BlockKey:
    """The key of a block that another engine names by `foreign`, a hash over the prefix of any length.

    Raises:
        ValueError: The namespace is one of our own keys.
    """
    if namespace.key_scheme == OWN_KEY_SCHEME:
        raise ValueError("foreign hashes need a namespace that names their key scheme")
    return hashlib.blake2b(namespace.root() + foreign, digest_size=KEY_BYTES).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStatistics:
    """One tier of a store: its size now, and counters since it was opened."""

    name: str
    """`memory`, `disk`, …"""
    blocks: int = 0
    bytes: int = 0
    evicted_blocks: int = 0
    damaged_blocks: int = 0
    """Blocks that were not what had been written; each was dropped and counted as a miss."""
    checked_blocks: int = 0
    """Blocks that were verified in the background."""
    waiting_blocks: int = 0
    """Blocks that still wait to be written."""
    dropped_blocks: int = 0
    """Blocks that were never written, because the tier could not keep up or refused them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KVStoreStatistics:
    """Counters since the store was opened, and its tiers from the fastest to the slowest."""

    asked_blocks: int = 0
    hit_blocks: int = 0
    put_blocks: int = 0
    tiers: tuple[TierStatistics, ...] = ()

    @property
    def blocks(self) -> int:
        """Blocks of the tier that has most; the others mostly hold some of the same."""
        return max((tier.blocks for tier in self.tiers), default=0)

    @property
    def bytes(self) -> int:
        """Bytes of all tiers."""
        return sum(tier.bytes for tier in self.tiers)

    @property
    def evicted_blocks(self) -> int:
        """Blocks that the last tier gave up for room: those are gone."""
        return self.tiers[-1].evicted_blocks if self.tiers else 0

    @property
    def damaged_blocks(self) -> int:
        """Damaged blocks of all tiers."""
        return sum(tier.damaged_blocks for tier in self.tiers)

    @property
    def dropped_blocks(self) -> int:
        """Blocks that some tier never wrote."""
        return sum(tier.dropped_blocks for tier in self.tiers)


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
        """Counters since the store was opened, and its tiers now."""
        ...

    def check_integrity(self) -> IntegrityReport:
        """Read and verify every block; a damaged one is dropped."""
        ...

    def close(self) -> None:
        """Flush and release; the persistent part can be opened again."""
        ...
