"""One append-only file of KV blocks, and how it is read back after any crash.

A record is a header page and the block, both padded with zeros to full pages:

    magic 8 | version 4 | unused 4 | key 32 | parent key 32 | length 8 | checksum of the block 16 | zeros
    | checksum of the page 16

A record is written by one call, header first. So what a kill leaves behind is a valid header whose block is cut short (or
zeros, after a power cut): a torn tail, which was never guaranteed and is cut off. An invalid header that is
neither is damage: it is counted, and the scan continues at the next page that holds a valid header. Whether a segment was
longer once, its records cannot say: `manifest.py` does.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.blocks import BlockKey, Buffer
from bedplate.storage.kvcache.checksum import CHECKSUM_BYTES, checksum

PAGE_BYTES = 4096
_MAGIC = b"bedplKV\n"
_VERSION = 1
_HEADER = struct.Struct("<8sI4x32s32sQ16s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Position, length and checksum of one block in its segment."""

    key: BlockKey
    parent: BlockKey
    offset: int
    """Of the header page."""
    length: int
    checksum: bytes

    @property
    def data_offset(self) -> int:
        """Of the block's first byte."""
        return self.offset + PAGE_BYTES

    @property
    def end(self) -> int:
        """Offset of the next record."""
        return self.data_offset + _full_pages(self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentScan:
    """What a segment holds, by its headers alone."""

    records: tuple[Record, ...]
    end: int
    """Behind the last complete record; what follows is a torn tail."""
    damaged: tuple[int, ...]
    """Offsets of headers that are neither valid nor torn."""


class Segment:
    """An open segment file. One that is evicted is closed when its last reader lets go of it."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._file = path.open("x+b" if writable else "rb", buffering=0)
        self.size_bytes = os.fstat(self._file.fileno()).st_size

    def append(self, key: BlockKey, parent: BlockKey, data: Buffer, data_checksum: bytes) -> Record:
        """Write one record behind the last one.

        Raises:
            OSError: The disk is full or broken; nothing of the record is left behind.
        """
        view = memoryview(data).cast("B")
        record = Record(key=key, parent=parent, offset=self.size_bytes, length=view.nbytes, checksum=data_checksum)
        padding = bytes(_full_pages(view.nbytes) - view.nbytes)
        try:
            self._write_all([memoryview(_header_page(record)), view, memoryview(padding)], record.offset)
        except OSError:
            os.ftruncate(self._file.fileno(), record.offset)
            raise
        self.size_bytes = record.end
        return record

    def _write_all(self, parts: list[memoryview], offset: int) -> None:
        while parts := [part for part in parts if part.nbytes]:
            written = os.pwritev(self._file.fileno(), parts, offset)
            offset += written
            for index, part in enumerate(parts):
                parts[index] = part[min(written, part.nbytes) :]
                written -= min(written, part.nbytes)

    def read(self, record: Record, into: memoryview) -> bool:
        """Read a block into a buffer of its size; False when it is cut short or not what was written."""
        if into.nbytes != record.length:
            return False
        try:
            if os.preadv(self._file.fileno(), [into], record.data_offset) != record.length:
                return False
        except OSError:  # the disk cannot read it: as good as damaged
            return False
        return checksum(into) == record.checksum

    def is_intact(self, record: Record) -> bool:
        """Whether every byte of a record, padding included, is what was written."""
        data = bytearray(record.end - record.data_offset)
        try:
            page = os.pread(self._file.fileno(), PAGE_BYTES, record.offset)
            is_read = os.preadv(self._file.fileno(), [data], record.data_offset) == len(data)
        except OSError:  # the disk cannot read it: as good as damaged
            return False
        block, padding = memoryview(data)[: record.length], data[record.length :]
        return is_read and page == _header_page(record) and checksum(block) == record.checksum and not any(padding)

    def scan(self) -> SegmentScan:
        """Read all headers; one small read per record."""
        records: list[Record] = []
        damaged: list[int] = []
        offset = end = 0
        while offset < self.size_bytes:
            page = os.pread(self._file.fileno(), PAGE_BYTES, offset)
            record = _parse_header(page, offset)
            if record is None:
                if page.strip(b"\0") and len(page) == PAGE_BYTES and (not damaged or damaged[-1] < end):
                    damaged.append(offset)
                offset += PAGE_BYTES
            elif record.end > self.size_bytes:
                break
            else:
                records.append(record)
                offset = end = record.end
        return SegmentScan(records=tuple(records), end=end, damaged=tuple(damaged))

    def cut(self, size_bytes: int) -> None:
        """Shorten the file on disk."""
        os.truncate(self.path, size_bytes)
        self.size_bytes = size_bytes

    def close(self) -> None:
        """Close the file; it must not be read afterwards."""
        self._file.close()

    def flush(self) -> None:
        """Return when what was written is on the device."""
        os.fsync(self._file.fileno())


def segment_files(directory: Path) -> Iterator[tuple[int, Path]]:
    """(number, path) of all segments in a directory, oldest first."""
    for path in sorted(directory.glob("*.segment")):
        if path.stem.isdigit():
            yield int(path.stem), path


def is_segment(path: Path) -> bool:
    """Whether a file begins as segments do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def segment_path(directory: Path, number: int) -> Path:
    """`00000001.segment`."""
    return directory / f"{number:08d}.segment"


def _header_page(record: Record) -> bytes:
    header = _HEADER.pack(_MAGIC, _VERSION, record.key, record.parent, record.length, record.checksum)
    page = header.ljust(PAGE_BYTES - CHECKSUM_BYTES, b"\0")
    return page + checksum(page)


def _parse_header(page: bytes, offset: int) -> Record | None:
    body = page[: PAGE_BYTES - CHECKSUM_BYTES]
    if len(page) != PAGE_BYTES or not page.startswith(_MAGIC) or checksum(body) != page[len(body) :]:
        return None
    _, version, key, parent, length, data_checksum = _HEADER.unpack_from(page)
    if version != _VERSION:
        return None
    return Record(key=key, parent=parent, offset=offset, length=length, checksum=data_checksum)


def _full_pages(size_bytes: int) -> int:
    return -(-size_bytes // PAGE_BYTES) * PAGE_BYTES
