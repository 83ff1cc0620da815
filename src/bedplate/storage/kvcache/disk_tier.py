"""Blocks on a local disk: segments that are only appended to, an index in memory that headers rebuild.

Opening starts a segment of its own, so old files are never written again. A segment that is full, or closed, is sealed in
the manifest (`manifest.py`); what a crash left unsealed is cut to its last complete block and sealed at the next opening.
Over the byte limit the oldest segment is removed as one. One process writes to a directory (`folder.py`).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.blocks import BlockKey, TierStatistics
from bedplate.core.errors import IntegrityError, UnavailableError
from bedplate.storage.kvcache.base import StoredBlock
from bedplate.storage.kvcache.folder import open_folder, open_folder_to_read
from bedplate.storage.kvcache.manifest import MANIFEST_FILE, SealedSegment, read_manifest, write_manifest
from bedplate.storage.kvcache.segment import Record, Segment, SegmentScan, segment_files, segment_path

_log = logging.getLogger(__name__)
DEFAULT_SEGMENT_BYTES = 256_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    segment: Segment
    record: Record


class DiskTier:
    """A `Tier` in one directory.

    Args:
        directory: Made when missing, unless `read_only`.
        limit_bytes: Most bytes of segment files; at least one segment is kept.
        segment_bytes: Size at which the next segment is begun. None: an eighth of the limit, at most 256 MB.
        read_only: Change nothing, not even a torn tail.

    Raises:
        NotFoundError: `read_only`, and there is no KV store.
        UsageError: The directory holds something else.
        UnavailableError: Another process has it open, or it cannot be used.
    """

    def __init__(
        self, directory: Path, limit_bytes: int = 2**62, segment_bytes: int | None = None, *, read_only: bool = False
    ) -> None:
        self.directory, self._limit_bytes = directory, limit_bytes
        self._segment_bytes = segment_bytes or max(1, min(limit_bytes // 8, DEFAULT_SEGMENT_BYTES))
        self._read_only = read_only
        self._mutex, self._write_mutex = threading.Lock(), threading.Lock()
        self._index: dict[BlockKey, _Place] = {}
        self._segments: dict[int, Segment] = {}
        self._sealed: dict[int, SealedSegment] = {}
        self._active: tuple[int, Segment] | None = None
        self._active_blocks = self._num_evicted = 0
        self._next_number = 1
        self._damaged: list[str] = []
        self._lock = open_folder_to_read(directory) if read_only else open_folder(directory)
        try:
            self._open_segments()
        except BaseException as error:
            self._release()
            if isinstance(error, OSError):
                raise UnavailableError(
                    "the KV store cannot be opened",
                    seen=f"{directory}: {error.strerror}",
                    next_step="free space on the disk or fix the directory's permissions, or name another directory",
                ) from error
            raise

    def __contains__(self, key: BlockKey) -> bool:
        return key in self._index

    def keys(self) -> list[BlockKey]:
        """All keys, as of now."""
        with self._mutex:
            return list(self._index)

    def read(self, key: BlockKey, into: memoryview) -> bytes | None:
        """See `Tier.read`."""
        with self._mutex:
            place = self._index.get(key)
        if place is None:
            return None
        if not place.segment.read(place.record, into):
            self._drop_damaged(key, place)
            return None
        return place.record.checksum

    def write(self, key: BlockKey, parent: BlockKey, block: StoredBlock) -> bool:
        """See `Tier.write`; always True."""
        with self._write_mutex:
            if key in self._index:
                return True
            segment = self._writable_segment()
            record = segment.append(key, parent, block.data, block.checksum)
            self._active_blocks += 1
            with self._mutex:
                self._index[key] = _Place(segment=segment, record=record)
            self._evict()
        return True

    def touch(self, chain: Iterable[BlockKey]) -> None:
        """Nothing: segments are removed by age."""

    def check(self, key: BlockKey) -> bool:
        """See `Tier.check`; the padding is verified too."""
        with self._mutex:
            place = self._index.get(key)
        if place is None or place.segment.is_intact(place.record):
            return True
        self._drop_damaged(key, place)
        return False

    def damaged(self) -> tuple[str, ...]:
        """See `Tier.damaged`: keys of blocks, and places of headers that are lost."""
        with self._mutex:
            return tuple(self._damaged)

    @property
    def num_segments(self) -> int:
        """Segment files."""
        return len(self._segments)

    def statistics(self) -> TierStatistics:
        """See `Tier.statistics`; `bytes` is the size of all segment files. O(segments)."""
        with self._mutex:
            return TierStatistics(
                name="disk",
                blocks=len(self._index),
                bytes=sum(segment.size_bytes for segment in self._segments.values()),
                evicted_blocks=self._num_evicted,
                damaged_blocks=len(self._damaged),
            )

    def close(self) -> None:
        """Seal what was written, and release the directory."""
        try:
            with self._write_mutex:
                self._seal_active()
        except OSError as error:  # the blocks are in their segment: the next opening seals it
            _log.warning("a segment of %s could not be sealed: %s", self.directory, error)
        self._release()

    def _open_segments(self) -> None:
        try:
            sealed = read_manifest(self.directory)
        except IntegrityError as error:
            _log.warning("%s", error)
            self._damaged.append(MANIFEST_FILE)
            sealed = {}
        files = dict(segment_files(self.directory))
        for number, lost in sealed.items():
            if number not in files:
                self._note_lost(segment_path(self.directory, number).name, lost.blocks, "is missing")
        for number, path in files.items():
            self._open_segment(number, path, sealed.get(number))
        if not self._read_only:
            write_manifest(self.directory, self._sealed)

    def _open_segment(self, number: int, path: Path, sealed: SealedSegment | None) -> None:
        segment = Segment(path)
        self._segments[number] = segment
        self._next_number = number + 1
        scan = segment.scan()
        places = [f"{path.name}@{offset}" for offset in scan.damaged]
        self._damaged += places
        if sealed is not None:
            self._note_lost(path.name, sealed.blocks - len(scan.records) - len(places), "is cut short")
        for record in scan.records:
            self._index[record.key] = _Place(segment=segment, record=record)
        if not self._read_only:
            self._recover(number, segment, scan, is_sealed=sealed is not None)

    def _recover(self, number: int, segment: Segment, scan: SegmentScan, *, is_sealed: bool) -> None:
        """Cut a torn tail, remove what holds nothing, and seal the rest as it is now."""
        if not scan.records and not scan.damaged:
            segment.path.unlink()
            segment.close()
            del self._segments[number]
            return
        if scan.end < segment.size_bytes and not scan.damaged:
            _log.info("cut a torn tail of %d bytes off %s", segment.size_bytes - scan.end, segment.path)
            segment.cut(scan.end)
        if not is_sealed:
            segment.flush()
        self._sealed[number] = SealedSegment(number=number, bytes=segment.size_bytes, blocks=len(scan.records))

    def _note_lost(self, name: str, blocks: int, how: str) -> None:
        if blocks > 0:
            _log.warning("%s %s: %d KV blocks are lost", name, how, blocks)
            self._damaged += [f"{name} {how}: block {index + 1} of {blocks} lost" for index in range(blocks)]

    def _writable_segment(self) -> Segment:
        if self._active is not None and self._active[1].size_bytes < self._segment_bytes:
            return self._active[1]
        self._seal_active()
        with self._mutex:
            number = self._next_number
            segment = Segment(segment_path(self.directory, number), writable=True)
            self._segments[number] = segment
            self._active, self._next_number = (number, segment), number + 1
            return segment

    def _seal_active(self) -> None:
        if self._active is None:
            return
        number, segment = self._active
        segment.flush()
        blocks, self._active, self._active_blocks = self._active_blocks, None, 0
        if blocks:
            self._sealed[number] = SealedSegment(number=number, bytes=segment.size_bytes, blocks=blocks)
            write_manifest(self.directory, self._sealed)

    def _evict(self) -> None:
        """Remove the oldest segments until the limit holds; first from the manifest, so that a crash loses no promise."""
        removed: list[Segment] = []
        with self._mutex:
            size_bytes = sum(segment.size_bytes for segment in self._segments.values())
            while size_bytes > self._limit_bytes and len(self._segments) > 1:
                number = min(self._segments)
                oldest = self._segments.pop(number)
                self._sealed.pop(number, None)
                size_bytes -= oldest.size_bytes
                gone = [key for key, place in self._index.items() if place.segment is oldest]
                for key in gone:
                    del self._index[key]
                self._num_evicted += len(gone)
                removed.append(oldest)
        if removed:
            self._remove(removed)

    def _remove(self, segments: Iterable[Segment]) -> None:
        try:
            write_manifest(self.directory, self._sealed)
        except OSError:  # a full disk: with the segments gone there is room
            for segment in segments:
                segment.path.unlink(missing_ok=True)
            write_manifest(self.directory, self._sealed)
        for segment in segments:
            segment.path.unlink(missing_ok=True)

    def _drop_damaged(self, key: BlockKey, place: _Place) -> None:
        with self._mutex:
            if self._index.get(key) is place:
                del self._index[key]
                self._damaged.append(key.hex())

    def _release(self) -> None:
        for segment in self._segments.values():
            segment.close()
        self._segments = {}
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
