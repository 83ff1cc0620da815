"""Writes to a slow tier, off the thread that serves: a bounded queue and one thread that empties it.

When the tier falls behind, or is full, blocks are not written, and counted: they would only have saved time. A block that
waits can already be read.

While there is nothing to write, the same thread checks the blocks that were there at the start, one by one and once each, so
that damage is dropped before the block is requested. At four blocks a second this takes no noticeable part of a core
or a disk.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bedplate.core.blocks import BlockKey, TierStatistics
from bedplate.storage.kvcache.base import StoredBlock, Tier
from bedplate.storage.kvcache.checksum import checksum

_log = logging.getLogger(__name__)
CHECK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class _Write:
    key: BlockKey
    parent: BlockKey
    block: StoredBlock


class WriteBehind:
    """A `Tier` that writes to another one from a thread of its own.

    Args:
        tier: Where blocks are kept; owned by this one from now on, and written only by this one.
        limit_bytes: Most bytes that may wait.
        check_every_s: Seconds without a write after which a block is checked, and from one check to the next.
    """

    def __init__(self, tier: Tier, limit_bytes: int, check_every_s: float = CHECK_EVERY_S) -> None:
        self._tier, self._limit_bytes, self._check_every_s = tier, limit_bytes, check_every_s
        self._unchecked = deque(tier.keys())
        self._queue: queue.SimpleQueue[_Write | threading.Event | None] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._waiting: dict[BlockKey, StoredBlock] = {}
        self._waiting_bytes = self._num_dropped = self._num_checked = 0
        self._thread = threading.Thread(target=self._work, name="bedplate-kv-writer", daemon=True)
        self._thread.start()

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._waiting or key in self._tier

    def keys(self) -> list[BlockKey]:
        """Keys of what is written and of what waits."""
        with self._mutex:
            waiting = list(self._waiting)
        return list(dict.fromkeys([*self._tier.keys(), *waiting]))

    def read(self, key: BlockKey, into: memoryview) -> bytes | None:
        """See `Tier.read`."""
        block = self._waiting.get(key)
        if block is not None and len(block.data) == into.nbytes:
            into[:] = block.data
            if checksum(into) == block.checksum:
                return block.checksum
        return self._tier.read(key, into)

    def write(self, key: BlockKey, parent: BlockKey, block: StoredBlock) -> bool:
        """Queue a block; False when the queue is full and it will not be written."""
        with self._mutex:
            if self._waiting_bytes + len(block.data) > self._limit_bytes:
                self._num_dropped += 1
                return False
            if key not in self._waiting:
                self._waiting[key] = block
                self._waiting_bytes += len(block.data)
                self._queue.put(_Write(key, parent, block))
        return True

    def touch(self, chain: Iterable[BlockKey]) -> None:
        """See `Tier.touch`."""
        self._tier.touch(chain)

    def check(self, key: BlockKey) -> bool:
        """See `Tier.check`; what waits is checked when it is read."""
        return self._tier.check(key)

    def damaged(self) -> tuple[str, ...]:
        """See `Tier.damaged`."""
        return self._tier.damaged()

    def statistics(self) -> TierStatistics:
        """Those of the tier, with what waits and what was dropped."""
        with self._mutex:
            waiting, dropped = len(self._waiting), self._num_dropped
        found = self._tier.statistics()
        return replace(found, waiting_blocks=waiting, dropped_blocks=dropped, checked_blocks=self._num_checked)

    def wait_written(self, timeout_s: float | None = None) -> bool:
        """Block until everything queued before this call is written or dropped; False when the time ran out."""
        if not self._thread.is_alive():
            return True
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout_s)

    def close(self) -> None:
        """Write what waits, then close the tier."""
        self._queue.put(None)
        self._thread.join()
        self._tier.close()

    def _work(self) -> None:
        while (item := self._next()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)

    def _next(self) -> _Write | threading.Event | None:
        while self._unchecked:
            try:
                return self._queue.get(timeout=self._check_every_s)
            except queue.Empty:
                self._tier.check(self._unchecked.popleft())
                self._num_checked += 1
        return self._queue.get()

    def _write(self, item: _Write) -> None:
        try:
            is_written = self._tier.write(item.key, item.parent, item.block)
        except OSError as error:
            _log.warning("a KV block was not written: %s", error)
            is_written = False
        with self._mutex:
            del self._waiting[item.key]
            self._waiting_bytes -= len(item.block.data)
            self._num_dropped += not is_written
