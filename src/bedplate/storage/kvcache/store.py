"""The long-memory store: a memory tier over a disk tier, every block checked on its way out.

A new block goes to memory at once and to disk behind the caller's back. A block is found in either; one found on disk
comes back to memory. What leaves the store is the caller's copy, and the checksum is taken of that copy: a bit that
flips in memory, on disk or on the way is a miss, never an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from bedplate.core.blocks import BlockKey, Buffer, IntegrityReport, KVStoreStatistics
from bedplate.storage.kvcache.checksum import checksum
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.memory_tier import MemoryTier, StoredBlock
from bedplate.storage.kvcache.write_behind import WriteBehind

_NO_PARENT = bytes(32)


class TieredKVStore:
    """Implements `core.blocks.KVBlockStore`.

    Args:
        memory_bytes: Limit of the memory tier.
        disk: The tier below, owned by the store from now on; None keeps blocks in memory only.
        write_queue_bytes: Most bytes that may wait for the disk.
    """

    def __init__(self, memory_bytes: int, disk: DiskTier | None = None, write_queue_bytes: int = 256_000_000) -> None:
        self._memory = MemoryTier(memory_bytes)
        self._disk = disk
        self._writer = None if disk is None else WriteBehind(disk, write_queue_bytes)
        self._mutex = threading.Lock()
        self._asked = self._hits = self._puts = self._evicted = self._damaged_in_memory = 0
        self._is_closed = False

    def match(self, keys: Sequence[BlockKey]) -> int:
        """See `KVBlockStore.match`; also marks the found chain as used."""
        with self._mutex:
            found = next((index for index, key in enumerate(keys) if not self._has(key)), len(keys))
            self._memory.touch(reversed(keys[:found]))
            return found

    def get(self, keys: Sequence[BlockKey], into: Sequence[memoryview]) -> int:
        """See `KVBlockStore.get`."""
        num_loaded = 0
        for key, buffer in zip(keys, into, strict=True):
            if not self._load(key, buffer):
                break
            num_loaded += 1
        with self._mutex:
            self._asked += len(keys)
            self._hits += num_loaded
            self._memory.touch(reversed(keys[:num_loaded]))
        return num_loaded

    def put(self, keys: Sequence[BlockKey], blocks: Sequence[Buffer]) -> int:
        """See `KVBlockStore.put`."""
        first = len(keys) - len(blocks)
        num_new = sum(self._add(keys, first + index, block) for index, block in enumerate(blocks))
        with self._mutex:
            self._puts += num_new
            self._memory.touch(reversed(keys))
        return num_new

    def statistics(self) -> KVStoreStatistics:
        """Counters; `bytes` counts both tiers, `blocks` each key once."""
        with self._mutex:
            keys = set(self._memory.keys())
            disk_bytes, disk_evicted, disk_damaged = 0, 0, 0
            if self._disk is not None:
                keys.update(self._disk.keys())
                disk_bytes, disk_evicted = self._disk.size_bytes, self._disk.evicted_blocks
                disk_damaged = len(self._disk.damaged_places)
            return KVStoreStatistics(
                blocks=len(keys),
                bytes=self._memory.size_bytes + disk_bytes,
                asked_blocks=self._asked,
                hit_blocks=self._hits,
                put_blocks=self._puts,
                evicted_blocks=disk_evicted if self._disk is not None else self._evicted,
                damaged_blocks=self._damaged_in_memory + disk_damaged,
            )

    def check_integrity(self) -> IntegrityReport:
        """See `KVBlockStore.check_integrity`; what is damaged is dropped."""
        started_s = time.perf_counter()
        self.wait_written()
        with self._mutex:
            memory_keys = self._memory.keys()
        bad = [key.hex() for key in memory_keys if not self._is_whole_in_memory(key)]
        keys = set(memory_keys)
        if self._disk is not None:
            disk_keys = self._disk.keys()
            keys.update(disk_keys)
            for key in disk_keys:
                if not self._disk.is_whole(key):
                    self._disk.drop_damaged(key)
            bad += self._disk.damaged_places
        return IntegrityReport(blocks=len(keys), damaged=tuple(dict.fromkeys(bad)), seconds=time.perf_counter() - started_s)

    def wait_written(self) -> None:
        """Block until all blocks put so far are on disk, or were dropped because the disk fell behind."""
        if self._writer is not None:
            self._writer.wait_written()

    def close(self) -> None:
        """Write what waits and release the directory. Calling it twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is not None and self._disk is not None:
            self._writer.close()
            self._disk.close()

    def _has(self, key: BlockKey) -> bool:
        return key in self._memory or (self._disk is not None and key in self._disk)

    def _load(self, key: BlockKey, buffer: memoryview) -> bool:
        with self._mutex:
            block = self._memory.find(key)
        if block is not None:
            if len(block.data) == buffer.nbytes:
                buffer[:] = block.data
                if checksum(buffer) == block.checksum:
                    return True
            self._forget_in_memory(key)
        if self._disk is None:
            return False
        is_read, block_checksum = self._disk.read(key, buffer)
        if is_read:
            with self._mutex:
                self._memory.insert(key, StoredBlock(bytes(buffer), block_checksum))
        return is_read

    def _add(self, keys: Sequence[BlockKey], index: int, data: Buffer) -> bool:
        key, parent = keys[index], keys[index - 1] if index else _NO_PARENT
        with self._mutex:
            if self._has(key) or (self._writer is not None and key in self._writer):
                return False
        block = StoredBlock(bytes(data), checksum(data))
        with self._mutex:
            self._evicted += self._memory.insert(key, block)
        if self._writer is not None:
            self._writer.write(key, parent, block)
        return True

    def _is_whole_in_memory(self, key: BlockKey) -> bool:
        with self._mutex:
            block = self._memory.find(key)
        if block is None or checksum(block.data) == block.checksum:
            return True
        self._forget_in_memory(key)
        return False

    def _forget_in_memory(self, key: BlockKey) -> None:
        with self._mutex:
            self._memory.remove(key)
            self._damaged_in_memory += 1
