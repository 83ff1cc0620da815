"""Blocks on a local disk: segments that are only appended to, an index in memory that headers rebuild.

Opening starts a segment of its own, so old files are never written again. Over the byte limit the oldest segment goes as
a whole. One process owns a directory (`flock`); its threads may all call.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.blocks import BlockKey, Buffer
from bedplate.core.errors import NotFoundError, UnavailableError
from bedplate.storage.kvcache.segment import Record, Segment, segment_files, segment_path

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    segment: Segment
    record: Record


class DiskTier:
    """The blocks of one directory.

    Args:
        directory: Made when missing, unless `read_only`.
        limit_bytes: Most bytes of segment files; at least one segment is kept.
        segment_bytes: Size at which the next segment is begun. None: an eighth of the limit, at most 256 MB.
        read_only: Change nothing, not even a torn tail.

    Raises:
        NotFoundError: `read_only`, and there is no such directory.
        UnavailableError: Another process has it open, or it cannot be written.
    """

    def __init__(
        self, directory: Path, limit_bytes: int = 2**62, segment_bytes: int | None = None, *, read_only: bool = False
    ) -> None:
        self.directory, self._limit_bytes = directory, limit_bytes
        self._segment_bytes = segment_bytes or max(1, min(limit_bytes // 8, 256_000_000))
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._lock_file = _lock(directory, read_only)
        self._index: dict[BlockKey, _Place] = {}
        self._segments: dict[int, Segment] = {}
        self._active: Segment | None = None
        self._next_number = 1
        self.evicted_blocks = 0
        self.damaged_places: list[str] = []
        for number, path in segment_files(directory):
            self._open_segment(number, path)

    def _open_segment(self, number: int, path: Path) -> None:
        segment = Segment(path)
        scan = segment.scan()
        self._next_number = number + 1
        self.damaged_places += [f"{path.name}@{offset}" for offset in scan.damaged]
        if not self._read_only and scan.end < segment.size_bytes and not scan.damaged:
            _log.info("cut a torn tail of %d bytes off %s", segment.size_bytes - scan.end, path)
            segment.cut(scan.end)
        if not scan.records and not scan.damaged and not self._read_only:
            path.unlink()
            return
        self._segments[number] = segment
        for record in scan.records:
            self._index[record.key] = _Place(segment=segment, record=record)

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._index

    def __len__(self) -> int:
        return len(self._index)

    def keys(self) -> list[BlockKey]:
        """All keys, as of now."""
        with self._mutex:
            return list(self._index)

    @property
    def size_bytes(self) -> int:
        """Bytes of all segment files."""
        with self._mutex:
            return sum(segment.size_bytes for segment in self._segments.values())

    @property
    def num_segments(self) -> int:
        """Segment files."""
        return len(self._segments)

    def block_bytes(self, key: BlockKey) -> int | None:
        """Length of a stored block, or None."""
        place = self._index.get(key)
        return None if place is None else place.record.length

    def read(self, key: BlockKey, into: memoryview) -> tuple[bool, bytes]:
        """Copy a block into a buffer of its size.

        Returns:
            Whether it was there and whole, and its checksum. A damaged block is forgotten; see `drop_damaged`.
        """
        with self._mutex:
            place = self._index.get(key)
        if place is None:
            return False, b""
        if not place.segment.read(place.record, into):
            self.drop_damaged(key)
            return False, b""
        return True, place.record.checksum

    def drop_damaged(self, key: BlockKey) -> None:
        """Forget a block whose bytes are wrong, and note where it lay."""
        with self._mutex:
            place = self._index.pop(key, None)
            if place is not None:
                self.damaged_places.append(key.hex())

    def append(self, key: BlockKey, parent: BlockKey, data: Buffer, checksum: bytes) -> None:
        """Write a block; one writer at a time.

        Raises:
            OSError: The disk is full or broken; the tier is as before.
        """
        segment = self._writable_segment()
        record = segment.append(key, parent, data, checksum)
        with self._mutex:
            self._index[key] = _Place(segment=segment, record=record)
        self._evict()

    def is_whole(self, key: BlockKey) -> bool:
        """Read and verify one block; True for one that is gone."""
        with self._mutex:
            place = self._index.get(key)
        return place is None or place.segment.is_whole(place.record)

    def _writable_segment(self) -> Segment:
        if self._active is not None and self._active.size_bytes < self._segment_bytes:
            return self._active
        if self._active is not None:
            self._active.flush()
        with self._mutex:
            self._active = Segment(segment_path(self.directory, self._next_number), writable=True)
            self._segments[self._next_number] = self._active
            self._next_number += 1
            return self._active

    def _evict(self) -> None:
        with self._mutex:
            size_bytes = sum(segment.size_bytes for segment in self._segments.values())
            while size_bytes > self._limit_bytes and len(self._segments) > 1:
                oldest = self._segments.pop(min(self._segments))
                size_bytes -= oldest.size_bytes
                gone = [key for key, place in self._index.items() if place.segment is oldest]
                for key in gone:
                    del self._index[key]
                self.evicted_blocks += len(gone)
                oldest.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Flush, and let another process have the directory."""
        if self._active is not None:
            self._active.flush()
            self._active = None
        for segment in self._segments.values():
            segment.close()
        os.close(self._lock_file)


def _lock(directory: Path, read_only: bool) -> int:
    if read_only and not directory.is_dir():
        raise NotFoundError("no KV store there", seen=directory, expected="a directory that `kv://` was opened with")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnavailableError(
            "the KV store's directory cannot be used", seen=f"{directory}: {error.strerror}", next_step="choose another one"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UnavailableError(
            "the KV store is in use by another process",
            seen=directory,
            expected="one process at a time",
            next_step="stop the other one, or give this one a directory of its own",
        ) from None
    return descriptor
