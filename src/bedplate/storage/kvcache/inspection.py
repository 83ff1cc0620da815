"""Looking at the directory of a KV store without serving from it; nothing is changed, so a read-only disk will do."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.blocks import IntegrityReport
from bedplate.core.json import JsonObject
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.manifest import MANIFEST_FILE


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
    """Read and check every block, and hold every segment to the manifest.

    Returns:
        `blocks` counts intact, damaged and lost ones.

    Raises:
        NotFoundError: No such directory, or one that is not a KV store.
        UnavailableError: A server has it open, or it cannot be read.
    """
    started_s = time.perf_counter()
    with closing(DiskTier(directory, read_only=True)) as disk:
        num_lost, keys = sum(place != MANIFEST_FILE for place in disk.damaged()), disk.keys()
        for key in keys:
            disk.check(key)
        seconds = time.perf_counter() - started_s
        return IntegrityReport(blocks=len(keys) + num_lost, damaged=disk.damaged(), seconds=seconds)


def describe_directory(directory: Path) -> DirectoryDescription:
    """Count blocks and bytes; errors as `verify_directory`."""
    with closing(DiskTier(directory, read_only=True)) as disk:
        found = disk.statistics()
        return DirectoryDescription(blocks=found.blocks, bytes=found.bytes, segments=disk.num_segments)
