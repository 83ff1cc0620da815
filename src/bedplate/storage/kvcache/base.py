"""One level of a KV store: memory, a disk, later a shared server. `TieredKVStore` puts them on top of one another.

A tier keeps blocks with the checksum they came with, within a limit of its own, and never hands out a byte that is not what
was written: a block that fails its checksum is dropped, counted, and reads as absent. All tiers pass one conformance suite,
`tests/storage/kvcache/test_tiers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bedplate.core.blocks import BlockKey, Buffer, TierStatistics

NO_PARENT: BlockKey = bytes(32)
"""Parent of the first block of a chain."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block and the checksum it was stored with."""

    data: Buffer
    checksum: bytes


class Tier(Protocol):
    """A bounded map from keys to blocks. Thread-safe."""

    def __contains__(self, key: BlockKey) -> bool:
        """Whether the block is stored; reading it can still find it damaged."""
        ...

    def keys(self) -> list[BlockKey]:
        """All keys, as of now; O(blocks)."""
        ...

    def read(self, key: BlockKey, into: memoryview) -> bytes | None:
        """Copy a block into a buffer of its size.

        Returns:
            Its checksum, verified on the copy. None when it is absent, damaged, or of another size; what `into` holds then
            is undefined, and a block that was there has been dropped.
        """
        ...

    def write(self, key: BlockKey, parent: BlockKey, block: StoredBlock) -> bool:
        """Store a block, evicting others where the limit requires it; one that is stored already takes no further room.

        Args:
            key: 32 bytes.
            parent: Key of the block before it, or `NO_PARENT`.
            block: Its bytes are the tier's own from now on.

        Returns:
            False where the tier does not take it: it is larger than the tier, or the tier cannot keep up.

        Raises:
            OSError: The device is full or broken; the tier is as it was before.
        """
        ...

    def touch(self, chain: Iterable[BlockKey]) -> None:
        """Note that a chain, given from its end to its start, was used. A tier without an order of use ignores it."""
        ...

    def check(self, key: BlockKey) -> bool:
        """Read and verify one block, dropping it when it is damaged; True for one that is absent."""
        ...

    def damaged(self) -> tuple[str, ...]:
        """Where damage was found since the tier was opened: keys in hex, or places."""
        ...

    def statistics(self) -> TierStatistics:
        """Size and counters; O(1) in the number of blocks."""
        ...

    def close(self) -> None:
        """Make durable what the tier promises to keep, and release it. Calling it twice is fine."""
        ...
