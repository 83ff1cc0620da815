"""Writes to disk, off the thread that serves: a bounded queue and one thread that empties it.

When the disk falls behind, or is full, blocks are not written, and counted: they would only have saved time.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass

from bedplate.core.blocks import BlockKey
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.memory_tier import StoredBlock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Write:
    key: BlockKey
    parent: BlockKey
    block: StoredBlock


class WriteBehind:
    """Carries blocks to a disk tier.

    Args:
        disk: The tier; nobody else appends to it.
        limit_bytes: Most bytes that may wait.
    """

    def __init__(self, disk: DiskTier, limit_bytes: int) -> None:
        self._disk, self._limit_bytes = disk, limit_bytes
        self._queue: queue.SimpleQueue[_Write | threading.Event | None] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._waiting: set[BlockKey] = set()
        self._waiting_bytes = 0
        self.dropped_blocks = 0
        self._thread = threading.Thread(target=self._work, name="bedplate-kv-writer", daemon=True)
        self._thread.start()

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._waiting

    def write(self, key: BlockKey, parent: BlockKey, block: StoredBlock) -> bool:
        """Queue a block; False when the queue is full and it will not be written."""
        with self._mutex:
            if self._waiting_bytes + len(block.data) > self._limit_bytes:
                self.dropped_blocks += 1
                return False
            self._waiting.add(key)
            self._waiting_bytes += len(block.data)
        self._queue.put(_Write(key, parent, block))
        return True

    def wait_written(self, timeout_s: float | None = None) -> bool:
        """Block until everything queued before this call is written or dropped; False when the time ran out."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def close(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._disk.append(item.key, item.parent, item.block.data, item.block.checksum)
            except OSError as error:
                _log.warning("a KV block was not written to %s: %s", self._disk.directory, error)
                self.dropped_blocks += 1
            with self._mutex:
                self._waiting.discard(item.key)
                self._waiting_bytes -= len(item.block.data)
