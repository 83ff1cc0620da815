"""Checkpoints in a folder: slower than memory, but they survive the supervisor and the machine.

One folder per step, `step-00000012/`; in it each rank's payload `rank-0-of-2.bin` and, written last, its record
`rank-0-of-2.record`. Every file is written aside, synced and renamed, so a name means a complete file; a step counts when
all its ranks' records are there, and the digests in them reveal a file that was damaged later. The newest two are kept.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from bedplate.core.checkpoint import Shard
from bedplate.core.errors import IntegrityError, NotFoundError
from bedplate.core.files import replacing_file, sync_folder, write_file
from bedplate.storage.checkpoint.record import ShardRecord, complete_steps, describe, verified

KEPT_STEPS = 2
_RECORD_NAME = re.compile(r"rank-(\d+)-of-(\d+)\.record")


class DiskCheckpointStore:
    """A `CheckpointStore` in `folder`, opened by one rank (or by the supervisor, for any)."""

    def __init__(self, folder: Path, rank: int, world_size: int) -> None:
        self._folder, self._rank, self._world_size = folder, rank, world_size

    def save(self, step: int, shard: Shard, still_valid: Callable[[], bool] | None = None) -> None:
        """See `CheckpointStore.save`; then removes steps older than the newest two.

        Args:
            step: Optimiser steps done.
            shard: This rank's share.
            still_valid: Called when the payload is written; False drops what was written: for a shard whose buffers
                another process may overwrite in the meantime.

        Raises:
            OSError: The disk is full, or cannot be written; what was there before stays as it was.
        """
        record = describe(step, self._rank, self._world_size, shard)
        folder = self._folder / f"step-{step:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        payload, record_file = _files(folder, self._rank, self._world_size)
        pieces = [(item.offset, shard.buffers[item.name]) for item in record.buffers]
        try:
            with replacing_file(payload) as file:
                for offset, piece in pieces:
                    file.seek(offset)
                    file.write(piece)
                if still_valid is not None and not still_valid():
                    raise _OverwrittenError
        except _OverwrittenError:
            return
        write_file(record_file, record.encode())
        sync_folder(self._folder)
        self._remove_older()

    def steps(self) -> tuple[int, ...]:
        """See `CheckpointStore.steps`."""
        return tuple(complete_steps(self._records()))

    def world_size(self, step: int) -> int:
        """See `CheckpointStore.world_size`."""
        complete = complete_steps(self._records())
        if step not in complete:
            raise NotFoundError("no such checkpoint on disk", seen=f"step {step}", expected=f"one of {sorted(complete)}")
        return complete[step]

    def load(self, step: int, rank: int) -> Shard:
        """See `CheckpointStore.load`; the buffers are views of the mapped file."""
        world_size = self.world_size(step)
        payload, record_file = _files(self._folder / f"step-{step:08d}", rank, world_size)
        record = ShardRecord.decode(record_file.read_bytes())
        with payload.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)) if size else memoryview(b"")
        return verified(record, view, str(payload))

    def discard(self, step: int) -> None:
        """See `CheckpointStore.discard`; the payload stays for inspection."""
        for file in (self._folder / f"step-{step:08d}").glob(f"rank-{self._rank}-of-*.record"):
            file.rename(file.with_suffix(".damaged"))

    def close(self) -> None:
        """See `CheckpointStore.close`; nothing is held."""

    def _records(self) -> dict[int, list[ShardRecord]]:
        found: dict[int, list[ShardRecord]] = {}
        for file in self._folder.glob("step-*/rank-*-of-*.record"):
            match = _RECORD_NAME.fullmatch(file.name)
            try:
                record = ShardRecord.decode(file.read_bytes())
            except (IntegrityError, FileNotFoundError):
                continue  # damaged, or removed by another rank since: that step does not count
            if match and (record.rank, record.world_size) == (int(match[1]), int(match[2])):
                found.setdefault(record.rank, []).append(record)
        return found

    def _remove_older(self) -> None:
        kept = self.steps()[:KEPT_STEPS]
        if len(kept) < KEPT_STEPS:
            return
        for folder in self._folder.glob("step-*"):
            if folder.name < f"step-{kept[-1]:08d}":
                shutil.rmtree(folder, ignore_errors=True)


class _OverwrittenError(Exception):
    """The buffers changed while they were written."""


def _files(folder: Path, rank: int, world_size: int) -> tuple[Path, Path]:
    stem = f"rank-{rank}-of-{world_size}"
    return folder / f"{stem}.bin", folder / f"{stem}.record"
