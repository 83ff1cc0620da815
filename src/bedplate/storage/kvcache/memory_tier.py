"""Blocks in memory under a byte limit: the least recently used goes first, and each is checked like those on disk.

A chain is touched from its end to its start, so a parent is always younger than its children and a chain loses its tail
first: a block without its parent could never be found again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from bedplate.core.blocks import BlockKey, TierStatistics
from bedplate.storage.kvcache.base import StoredBlock
from bedplate.storage.kvcache.checksum import checksum


class MemoryTier:
    """A `Tier` in this process.

    Args:
        limit_bytes: Most bytes of all blocks together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._mutex = threading.Lock()
        self._blocks: OrderedDict[BlockKey, StoredBlock] = OrderedDict()
        self._bytes = self._num_evicted = 0
        self._damaged: list[str] = []

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._blocks

    def keys(self) -> list[BlockKey]:
        """All keys, least recently used first."""
        with self._mutex:
            return list(self._blocks)

    def read(self, key: BlockKey, into: memoryview) -> bytes | None:
        """See `Tier.read`; does not make the block younger."""
        block = self._blocks.get(key)
        if block is None:
            return None
        if len(block.data) == into.nbytes:
            into[:] = block.data
            if checksum(into) == block.checksum:
                return block.checksum
        self._drop_damaged(key, block)
        return None

    def write(self, key: BlockKey, parent: BlockKey, block: StoredBlock) -> bool:
        """See `Tier.write`; the block becomes the youngest."""
        size_bytes = len(block.data)
        if size_bytes > self._limit_bytes:
            return False
        with self._mutex:
            self._remove(key)
            while self._bytes + size_bytes > self._limit_bytes:
                _, oldest = self._blocks.popitem(last=False)
                self._bytes -= len(oldest.data)
                self._num_evicted += 1
            self._blocks[key] = block
            self._bytes += size_bytes
        return True

    def touch(self, chain: Iterable[BlockKey]) -> None:
        """See `Tier.touch`: the chain's blocks become the youngest."""
        with self._mutex:
            for key in chain:
                if key in self._blocks:
                    self._blocks.move_to_end(key)

    def check(self, key: BlockKey) -> bool:
        """See `Tier.check`."""
        block = self._blocks.get(key)
        if block is None or checksum(block.data) == block.checksum:
            return True
        self._drop_damaged(key, block)
        return False

    def damaged(self) -> tuple[str, ...]:
        """See `Tier.damaged`."""
        with self._mutex:
            return tuple(self._damaged)

    def statistics(self) -> TierStatistics:
        """See `Tier.statistics`."""
        with self._mutex:
            return TierStatistics(
                name="memory",
                blocks=len(self._blocks),
                bytes=self._bytes,
                evicted_blocks=self._num_evicted,
                damaged_blocks=len(self._damaged),
            )

    def close(self) -> None:
        """Forget all blocks."""
        with self._mutex:
            self._blocks.clear()
            self._bytes = 0

    def _remove(self, key: BlockKey) -> None:
        if (block := self._blocks.pop(key, None)) is not None:
            self._bytes -= len(block.data)

    def _drop_damaged(self, key: BlockKey, block: StoredBlock) -> None:
        with self._mutex:
            if self._blocks.get(key) is block:
                self._remove(key)
                self._damaged.append(key.hex())
