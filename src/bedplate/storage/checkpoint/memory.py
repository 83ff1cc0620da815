"""Checkpoints in memory files that the supervisor makes and the workers inherit: they outlive any worker.

Problem: a checkpoint on disk takes seconds to write and to read, so it is made rarely and much work is repeated. Idea
(Gemini, Wang et al. 2023; DLRover flash checkpoint): the supervisor creates one memory file per rank (memfd), which lives
as long as any process has it open; a worker writes its share there at memory speed, and its successor reads it from
there. Two generations per rank: a new one is written over the older, so a crash in the middle leaves the newer intact.
A generation counts when its record is in place, which is written last, and when all ranks have that step.

A file: two record areas of 64 KiB, then two payload areas. Writes go through the descriptor and not through a mapping:
that spares a page fault for every 4 KiB.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence

from bedplate.core.checkpoint import Shard
from bedplate.core.errors import IntegrityError, NotFoundError, ResourcesError
from bedplate.storage.checkpoint.record import ShardRecord, complete_steps, describe, verified

GENERATIONS = 2
_RECORD_BYTES = 64 * 1024
_PAYLOAD_START = GENERATIONS * _RECORD_BYTES
_WRITE_BYTES = 64 * 1024 * 1024


def create_memory_files(num_ranks: int, payload_bytes: int) -> tuple[int, ...]:
    """One empty memory file per rank, large enough for two shards of `payload_bytes`; pages are taken when first written.

    The caller owns the descriptors: closing them all, in all processes, frees the memory.
    """
    area = -(-payload_bytes // 4096) * 4096
    descriptors = []
    for rank in range(num_ranks):
        descriptor = os.memfd_create(f"bedplate-checkpoint-{rank}", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _PAYLOAD_START + GENERATIONS * area)
        descriptors.append(descriptor)
    return tuple(descriptors)


class MemoryCheckpointStore:
    """A `CheckpointStore` over the memory files of all ranks, opened by one of them (or by the supervisor, to read)."""

    def __init__(self, descriptors: Sequence[int], rank: int, world_size: int) -> None:
        """Use descriptors in rank order, also of ranks of a former, larger world; they stay the caller's to close."""
        self._descriptors, self._rank, self._world_size = tuple(descriptors), rank, world_size
        self._mappings: dict[int, mmap.mmap] = {}

    def save(self, step: int, shard: Shard) -> None:
        """See `CheckpointStore.save`; overwrites the generation that is not the newest complete step.

        Raises:
            ResourcesError: The shard is larger than the memory file allows.
        """
        record = describe(step, self._rank, self._world_size, shard)
        descriptor, generation = self._descriptors[self._rank], self._generation_to_overwrite()
        area = _area_bytes(descriptor)
        encoded = record.encode()
        if record.payload_bytes > area or len(encoded) + 8 > _RECORD_BYTES:
            raise ResourcesError("a checkpoint outgrew its memory file", seen=record.payload_bytes, expected=f"at most {area}")
        os.pwrite(descriptor, bytes(8), generation * _RECORD_BYTES)
        for item in record.buffers:
            start = _PAYLOAD_START + generation * area + item.offset
            _write_all(descriptor, memoryview(shard.buffers[item.name]).cast("B"), start)
        os.pwrite(descriptor, len(encoded).to_bytes(8, "little") + encoded, generation * _RECORD_BYTES)

    def steps(self) -> tuple[int, ...]:
        """See `CheckpointStore.steps`; reads records only, so a damaged payload shows when it is loaded."""
        return tuple(complete_steps(self._records()))

    def world_size(self, step: int) -> int:
        """How many ranks a complete step has.

        Raises:
            NotFoundError: The step is not there.
        """
        complete = complete_steps(self._records())
        if step not in complete:
            raise _missing(step)
        return complete[step]

    def load(self, step: int, rank: int) -> Shard:
        """See `CheckpointStore.load`; the buffers are views of the memory file."""
        world_size = self.world_size(step)
        for generation in range(GENERATIONS):
            record = _read_record(self._descriptors[rank], generation)
            if record is not None and (record.step, record.world_size) == (step, world_size):
                area = _area_bytes(self._descriptors[rank])
                start = _PAYLOAD_START + generation * area
                payload = memoryview(self._mapping(rank))[start : start + area]
                return verified(record, payload, "memory")
        raise _missing(step)

    def discard(self, step: int) -> None:
        """See `CheckpointStore.discard`."""
        descriptor = self._descriptors[self._rank]
        for generation in range(GENERATIONS):
            record = _read_record(descriptor, generation)
            if record is not None and record.step == step:
                os.pwrite(descriptor, bytes(8), generation * _RECORD_BYTES)

    def close(self) -> None:
        """See `CheckpointStore.close`. Buffers that were handed out keep their mapping alive."""
        self._mappings.clear()

    def _generation_to_overwrite(self) -> int:
        newest = next(iter(complete_steps(self._records()).items()), None)
        records = [_read_record(self._descriptors[self._rank], generation) for generation in range(GENERATIONS)]
        held = [(record.step, record.world_size) if record else None for record in records]
        if newest is not None and newest in held:
            return 1 - held.index(newest)
        return held.index(None) if None in held else held.index(min(item for item in held if item))

    def _records(self) -> dict[int, list[ShardRecord]]:
        found = {}
        for rank, descriptor in enumerate(self._descriptors):
            records = (_read_record(descriptor, generation) for generation in range(GENERATIONS))
            found[rank] = [record for record in records if record is not None and record.rank == rank]
        return found

    def _mapping(self, rank: int) -> mmap.mmap:
        if rank not in self._mappings:
            self._mappings[rank] = mmap.mmap(self._descriptors[rank], 0, access=mmap.ACCESS_COPY)
        return self._mappings[rank]


def _missing(step: int) -> NotFoundError:
    return NotFoundError("no such checkpoint in memory", seen=f"step {step}", expected="a step that all ranks committed")


def _area_bytes(descriptor: int) -> int:
    return (os.fstat(descriptor).st_size - _PAYLOAD_START) // GENERATIONS


def _read_record(descriptor: int, generation: int) -> ShardRecord | None:
    """The record of a generation; None where there is none, or a torn one."""
    data = os.pread(descriptor, _RECORD_BYTES, generation * _RECORD_BYTES)
    length = int.from_bytes(data[:8], "little")
    try:
        return ShardRecord.decode(data[8 : 8 + length]) if length else None
    except IntegrityError:
        return None


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    written = 0
    while written < data.nbytes:
        written += os.pwrite(descriptor, data[written : written + _WRITE_BYTES], offset + written)
