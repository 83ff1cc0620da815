"""Looking at the directory of a KV store without serving from it; nothing is changed."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.blocks import IntegrityReport
from bedplate.core.json import JsonObject
from bedplate.storage.kvcache.disk_tier import DiskTier


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryDescription:
    """What a directory holds, by headers."""

    blocks: int
    bytes: int
    """Of all segment files."""
    segments: int

    def as_json(self) -> JsonObject:
        """The form of `storage kv stat -o json`."""
        return {"blocks": self.blocks, "bytes": self.bytes, "segments": self.segments}


def verify_directory(directory: Path) -> IntegrityReport:
    """Read and check every block.

    Returns:
        `blocks` counts the whole and the damaged ones.

    Raises:
        NotFoundError: No such directory.
        UnavailableError: A server has it open.
    """
    started_s = time.perf_counter()
    with closing(DiskTier(directory, read_only=True)) as disk:
        lost_headers = disk.damaged_places
        keys = disk.keys()
        damaged = [*lost_headers, *(key.hex() for key in keys if not disk.is_whole(key))]
        return IntegrityReport(
            blocks=len(keys) + len(lost_headers), damaged=tuple(damaged), seconds=time.perf_counter() - started_s
        )


def describe_directory(directory: Path) -> DirectoryDescription:
    """Count blocks and bytes; errors as `verify_directory`."""
    with closing(DiskTier(directory, read_only=True)) as disk:
        return DirectoryDescription(blocks=len(disk), bytes=disk.size_bytes, segments=disk.num_segments)
