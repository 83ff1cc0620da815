"""One suite over both stores: what is committed is intact, what is half written or damaged is passed over."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bedplate.core.checkpoint import CheckpointStore, Shard
from bedplate.core.errors import IntegrityError, NotFoundError, ResourcesError
from bedplate.storage.checkpoint import disk
from bedplate.storage.checkpoint.copier import DiskCopier, copy_checkpoint
from bedplate.storage.checkpoint.disk import DiskCheckpointStore
from bedplate.storage.checkpoint.memory import MemoryCheckpointStore, create_memory_files
from bedplate.storage.checkpoint.record import ShardRecord, describe

PAYLOAD_BYTES = 300_000
Opener = Callable[[int, int], CheckpointStore]


def make_shard(seed: int) -> Shard:
    first, second = bytes([seed]) * 100_001, bytes([seed + 1]) * 50_000
    return Shard(meta={"seed": seed}, buffers={"first": first, "second": second})


def content(shard: Shard) -> dict[str, bytes]:
    return {name: bytes(buffer) for name, buffer in shard.buffers.items()}


@pytest.fixture
def memory_files() -> Iterator[tuple[int, ...]]:
    descriptors = create_memory_files(2, PAYLOAD_BYTES)
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.fixture(params=["memory", "disk"])
def open_store(request: pytest.FixtureRequest, memory_files: tuple[int, ...], tmp_path: Path) -> Opener:
    if request.param == "memory":
        return lambda rank, world_size: MemoryCheckpointStore(memory_files, rank, world_size)
    return lambda rank, world_size: DiskCheckpointStore(tmp_path / "checkpoints", rank, world_size)


def test_every_rank_reads_what_every_rank_wrote(open_store: Opener) -> None:
    for rank in (0, 1):
        open_store(rank, 2).save(2, make_shard(10 * rank))
    reader = open_store(1, 2)
    assert reader.steps() == (2,)
    assert reader.world_size(2) == 2
    for rank in (0, 1):
        shard = reader.load(2, rank)
        assert shard.meta == {"seed": 10 * rank}
        assert content(shard) == content(make_shard(10 * rank))


def test_a_step_counts_when_all_ranks_committed_it(open_store: Opener) -> None:
    first, second = open_store(0, 2), open_store(1, 2)
    for store in (first, second):
        store.save(2, make_shard(2))
    first.save(4, make_shard(4))
    assert first.steps() == (2,)
    with pytest.raises(NotFoundError, match="step 4"):
        second.load(4, 0)
    second.save(4, make_shard(4))
    assert first.steps() == (4, 2)


def test_two_generations_are_kept_and_the_older_ones_make_room(open_store: Opener) -> None:
    stores = [open_store(rank, 2) for rank in (0, 1)]
    for step in (2, 4, 6, 8):
        for store in stores:
            store.save(step, make_shard(step))
    assert stores[0].steps() == (8, 6)
    assert content(stores[0].load(6, 1)) == content(make_shard(6))


def test_a_save_after_a_death_keeps_the_newest_complete_step(open_store: Opener) -> None:
    first, second = open_store(0, 2), open_store(1, 2)
    for store in (first, second):
        store.save(2, make_shard(2))
    for attempt in (40, 41, 42):
        first.save(4, make_shard(attempt))
        assert first.steps() == (2,)
        assert content(first.load(2, 0)) == content(make_shard(2))


def test_a_smaller_world_goes_on_from_a_larger_ones_step(open_store: Opener) -> None:
    for rank in (0, 1):
        open_store(rank, 2).save(2, make_shard(rank))
    alone = open_store(0, 1)
    assert (alone.steps(), alone.world_size(2)) == ((2,), 2)
    alone.save(4, make_shard(4))
    assert (alone.steps(), alone.world_size(4)) == ((4, 2), 1)


def test_a_discarded_step_no_longer_counts(open_store: Opener) -> None:
    for step in (2, 4):
        for rank in (0, 1):
            open_store(rank, 2).save(step, make_shard(step))
    open_store(1, 2).discard(4)
    assert open_store(0, 2).steps() == (2,)


def test_a_flipped_bit_in_memory_is_found(memory_files: tuple[int, ...]) -> None:
    for rank in (0, 1):
        MemoryCheckpointStore(memory_files, rank, 2).save(2, make_shard(2))
    data = os.pread(memory_files[1], 200_000, 131_072)
    place = next(index for index, byte in enumerate(data) if byte == 2)
    os.pwrite(memory_files[1], b"\xff", 131_072 + place)
    with pytest.raises(IntegrityError, match="'first' is damaged"):
        MemoryCheckpointStore(memory_files, 0, 2).load(2, 1)


@pytest.mark.parametrize("kept_bytes", [0, 1, 150_000])
def test_a_file_that_was_cut_off_is_found(tmp_path: Path, kept_bytes: int) -> None:
    store = DiskCheckpointStore(tmp_path, 0, 1)
    store.save(2, make_shard(2))
    os.truncate(tmp_path / "step-00000002" / "rank-0-of-1.bin", kept_bytes)
    with pytest.raises(IntegrityError, match="damaged"):
        store.load(2, 0)


def test_a_damaged_record_on_disk_does_not_count(tmp_path: Path) -> None:
    store = DiskCheckpointStore(tmp_path, 0, 1)
    for step in (2, 4):
        store.save(step, make_shard(step))
    record = tmp_path / "step-00000004" / "rank-0-of-1.record"
    record.write_bytes(record.read_bytes()[:-20])
    assert store.steps() == (2,)


def test_a_shard_larger_than_its_memory_file_is_refused(memory_files: tuple[int, ...]) -> None:
    with pytest.raises(ResourcesError, match="outgrew"):
        MemoryCheckpointStore(memory_files, 0, 1).save(2, Shard(meta={}, buffers={"all": bytes(2 * PAYLOAD_BYTES)}))


def test_a_writer_killed_at_any_moment_leaves_the_older_step(memory_files: tuple[int, ...]) -> None:
    store = MemoryCheckpointStore(memory_files, 0, 1)
    store.save(2, make_shard(2))
    for writes in range(1, 5):
        _save_in_a_process_that_dies(memory_files, step=4, writes=writes)
        newest = store.steps()[0]
        assert newest == (4 if writes == 4 else 2), "the record, written fourth, is what commits"
        assert content(store.load(newest, 0)) == content(make_shard(newest))


def _save_in_a_process_that_dies(descriptors: tuple[int, ...], step: int, writes: int) -> None:
    """Save in a child that kills itself after so many writes."""
    child = os.fork()
    if child == 0:
        real, left = os.pwrite, [writes]

        def write_then_die(*arguments: object) -> int:
            written = real(*arguments)  # type: ignore[arg-type]
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return written

        os.pwrite = write_then_die
        MemoryCheckpointStore(descriptors, 0, 1).save(step, make_shard(step))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_the_copier_brings_the_newest_step_to_disk(memory_files: tuple[int, ...], tmp_path: Path) -> None:
    for step in (2, 4):
        for rank in (0, 1):
            MemoryCheckpointStore(memory_files, rank, 2).save(step, make_shard(step + rank))
    failures: list[str] = []
    copier = DiskCopier(MemoryCheckpointStore(memory_files, 0, 2), tmp_path, lambda step, reason: failures.append(reason))
    copier.wake()
    copier.close()
    on_disk = DiskCheckpointStore(tmp_path, 0, 2)
    assert (on_disk.steps(), failures) == ((4,), [])
    assert content(on_disk.load(4, 1)) == content(make_shard(5))


def test_a_copy_overwritten_in_transit_is_dropped(
    memory_files: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = MemoryCheckpointStore(memory_files, 0, 1)
    for step in (2, 4):
        writer.save(step, make_shard(step))

    def overwrite_after_the_digests(*arguments: Any) -> ShardRecord:
        record = describe(*arguments)
        writer.save(6, make_shard(6))
        return record

    monkeypatch.setattr(disk, "describe", overwrite_after_the_digests)
    assert not copy_checkpoint(MemoryCheckpointStore(memory_files, 0, 1), tmp_path, 2)
    assert DiskCheckpointStore(tmp_path, 0, 1).steps() == ()


def test_a_full_disk_is_reported_and_what_was_there_stays(tmp_path: Path, memory_files: tuple[int, ...]) -> None:
    import resource

    folder = tmp_path / "checkpoints"
    DiskCheckpointStore(folder, 0, 1).save(2, make_shard(2))
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try:
            DiskCheckpointStore(folder, 0, 1).save(4, make_shard(4))
        except OSError:
            os._exit(17)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    assert DiskCheckpointStore(folder, 0, 1).steps() == (2,)
    assert not list(folder.glob("**/*.partial"))
