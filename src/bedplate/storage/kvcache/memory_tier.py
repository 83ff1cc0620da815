"""Blocks in memory under a byte limit: least recently used goes first, checked like those on disk.

Whoever uses a chain touches it from its end to its start, so a parent is always younger than its children and a chain
loses its tail first: a block without its parent could never be found again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from bedplate.core.blocks import BlockKey


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block and the checksum it was stored with."""

    data: bytes | bytearray
    checksum: bytes


class MemoryTier:
    """A bounded map of blocks. Not thread-safe: the store's lock guards it."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._blocks: OrderedDict[BlockKey, StoredBlock] = OrderedDict()
        self.size_bytes = 0

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def keys(self) -> list[BlockKey]:
        """All keys, oldest first."""
        return list(self._blocks)

    def find(self, key: BlockKey) -> StoredBlock | None:
        """The block, without making it younger."""
        return self._blocks.get(key)

    def touch(self, chain: Iterable[BlockKey]) -> None:
        """Make the blocks of a chain, given from its end to its start, the youngest."""
        for key in chain:
            if key in self._blocks:
                self._blocks.move_to_end(key)

    def insert(self, key: BlockKey, block: StoredBlock) -> int:
        """Add a block as the youngest; one that is larger than the tier is not kept. Returns how many had to go."""
        if len(block.data) > self._limit_bytes:
            return 0
        self.remove(key)
        num_evicted = 0
        while self.size_bytes + len(block.data) > self._limit_bytes:
            _, oldest = self._blocks.popitem(last=False)
            self.size_bytes -= len(oldest.data)
            num_evicted += 1
        self._blocks[key] = block
        self.size_bytes += len(block.data)
        return num_evicted

    def remove(self, key: BlockKey) -> None:
        """Forget a block, if it is there."""
        if (block := self._blocks.pop(key, None)) is not None:
            self.size_bytes -= len(block.data)
