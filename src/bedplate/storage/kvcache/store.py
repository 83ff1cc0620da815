"""The long-memory store: tiers on top of one another, every block checked on its way out.

A new block goes to all tiers; slow ones take it in the background. A block is read from the first tier that has it,
and comes back to those above. What leaves the store is the caller's copy, and the checksum is taken of that copy: a bit
that flips in memory, on disk or on the way is a miss, never an answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from bedplate.core.blocks import KEY_BYTES, BlockKey, Buffer, IntegrityReport, KVStoreStatistics
from bedplate.storage.kvcache.base import NO_PARENT, StoredBlock, Tier
from bedplate.storage.kvcache.checksum import checksum
from bedplate.storage.kvcache.write_behind import WriteBehind

_log = logging.getLogger(__name__)


class TieredKVStore:
    """Implements `core.blocks.KVBlockStore`.

    Args:
        tiers: From the fastest to the slowest, at least one; owned by the store from now on.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = tuple(tiers)
        self._mutex = threading.Lock()
        self._asked = self._hits = self._puts = 0
        self._is_closed = False

    def match(self, keys: Sequence[BlockKey]) -> int:
        """See `KVBlockStore.match`; also marks the found chain as used."""
        found = next((index for index, key in enumerate(keys) if not self._has(key)), len(keys))
        self._touch(keys[:found])
        return found

    def get(self, keys: Sequence[BlockKey], into: Sequence[memoryview]) -> int:
        """See `KVBlockStore.get`."""
        num_loaded = 0
        for index, buffer in enumerate(into):
            if not self._load(keys, index, buffer):
                break
            num_loaded += 1
        with self._mutex:
            self._asked += len(keys)
            self._hits += num_loaded
        self._touch(keys[:num_loaded])
        return num_loaded

    def put(self, keys: Sequence[BlockKey], blocks: Sequence[Buffer]) -> int:
        """See `KVBlockStore.put`."""
        first = len(keys) - len(blocks)
        num_new = sum(self._add(keys, first + index, block) for index, block in enumerate(blocks))
        with self._mutex:
            self._puts += num_new
        self._touch(keys)
        return num_new

    def statistics(self) -> KVStoreStatistics:
        """Counters; O(tiers)."""
        with self._mutex:
            asked, hits, puts = self._asked, self._hits, self._puts
        tiers = tuple(tier.statistics() for tier in self._tiers)
        return KVStoreStatistics(asked_blocks=asked, hit_blocks=hits, put_blocks=puts, tiers=tiers)

    def check_integrity(self) -> IntegrityReport:
        """See `KVBlockStore.check_integrity`."""
        started_s = time.perf_counter()
        self.wait_written()
        all_keys: set[BlockKey] = set()
        damaged: list[str] = []
        for tier in self._tiers:
            keys = tier.keys()
            all_keys.update(keys)
            damaged += [key.hex() for key in keys if not tier.check(key)]
            damaged += tier.damaged()
        seconds = time.perf_counter() - started_s
        return IntegrityReport(blocks=len(all_keys), damaged=tuple(dict.fromkeys(damaged)), seconds=seconds)

    def wait_written(self) -> None:
        """Block until all blocks put so far are in every tier, or were dropped because a tier fell behind."""
        for tier in self._tiers:
            if isinstance(tier, WriteBehind):
                tier.wait_written()

    def close(self) -> None:
        """Write what waits and release the tiers. Calling it twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            for tier in self._tiers:
                tier.close()

    def _has(self, key: BlockKey) -> bool:
        return any(key in tier for tier in self._tiers)

    def _touch(self, chain: Sequence[BlockKey]) -> None:
        for tier in self._tiers:
            tier.touch(reversed(chain))

    def _load(self, keys: Sequence[BlockKey], index: int, buffer: memoryview) -> bool:
        for level, tier in enumerate(self._tiers):
            block_checksum = _read(tier, keys[index], buffer)
            if block_checksum is not None:
                block = StoredBlock(bytes(buffer), block_checksum) if level else None
                for above in self._tiers[:level]:
                    assert block is not None
                    _write(above, keys, index, block)
                return True
        return False

    def _add(self, keys: Sequence[BlockKey], index: int, data: Buffer) -> bool:
        if len(keys[index]) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(keys[index])}; see core.blocks.adopted_key")
        if self._has(keys[index]):
            return False
        block = StoredBlock(bytes(data), checksum(data))
        for tier in self._tiers:
            _write(tier, keys, index, block)
        return True


def _read(tier: Tier, key: BlockKey, buffer: memoryview) -> bytes | None:
    try:
        return tier.read(key, buffer)
    except OSError as error:
        _log.warning("a KV block could not be read: %s", error)
        return None


def _write(tier: Tier, keys: Sequence[BlockKey], index: int, block: StoredBlock) -> None:
    try:
        tier.write(keys[index], keys[index - 1] if index else NO_PARENT, block)
    except OSError as error:
        _log.warning("a KV block was not written: %s", error)
