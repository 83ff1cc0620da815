"""What every tier of a KV store promises, tried on each of them."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bedplate.core.blocks import BlockKey, KVNamespace, chain_keys
from bedplate.storage.kvcache.base import NO_PARENT, StoredBlock, Tier
from bedplate.storage.kvcache.checksum import checksum
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.memory_tier import MemoryTier
from bedplate.storage.kvcache.write_behind import WriteBehind

NAMESPACE = KVNamespace(weights_digest="0", config_digest="0", dtype="bf16", layout="test", block_tokens=4)
BLOCK_BYTES = 9000
LIMIT_BYTES = 40 * BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a tier is made in a folder, and what it keeps."""

    open: Callable[[Path], Tier]
    is_persistent: bool


KINDS = {
    "memory": Kind(open=lambda folder: MemoryTier(LIMIT_BYTES), is_persistent=False),
    "disk": Kind(open=lambda folder: DiskTier(folder, 2 * LIMIT_BYTES), is_persistent=True),
    "disk, written behind": Kind(
        open=lambda folder: WriteBehind(DiskTier(folder, 2 * LIMIT_BYTES), 10_000_000), is_persistent=True
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def tier(kind: Kind, tmp_path: Path) -> Iterator[Tier]:
    tier = kind.open(tmp_path / "tier")
    yield tier
    tier.close()


def chain(length: int, seed: int = 0) -> list[BlockKey]:
    return chain_keys(NAMESPACE, [seed] * 4 * length)


def make(key: BlockKey) -> StoredBlock:
    data = random.Random(key).randbytes(BLOCK_BYTES)
    return StoredBlock(data, checksum(data))


def write(tier: Tier, keys: list[BlockKey]) -> None:
    for parent, key in zip([NO_PARENT, *keys], keys, strict=False):
        assert tier.write(key, parent, make(key))
    settle(tier)


def settle(tier: Tier) -> None:
    if isinstance(tier, WriteBehind):
        assert tier.wait_written(10)


def read(tier: Tier, key: BlockKey, size: int = BLOCK_BYTES) -> bytes | None:
    buffer = bytearray(size)
    found = tier.read(key, memoryview(buffer))
    assert found in (None, checksum(buffer))
    return None if found is None else bytes(buffer)


def test_a_block_reads_as_it_was_written(tier: Tier) -> None:
    keys = chain(5)
    write(tier, keys)
    assert [read(tier, key) for key in keys] == [make(key).data for key in keys]


def test_an_absent_block_reads_as_none_and_checks_as_well(tier: Tier) -> None:
    (key,) = chain(1)
    assert key not in tier
    assert read(tier, key) is None
    assert tier.check(key)
    assert tier.damaged() == ()


def test_what_is_stored_can_be_listed_and_counted(tier: Tier) -> None:
    keys = chain(5)
    write(tier, keys)
    assert set(tier.keys()) == set(keys)
    assert all(key in tier for key in keys)
    found = tier.statistics()
    assert (found.blocks, found.waiting_blocks, found.dropped_blocks, found.damaged_blocks) == (5, 0, 0, 0)
    assert found.bytes >= 5 * BLOCK_BYTES


def test_a_block_that_is_written_again_takes_no_further_room(tier: Tier) -> None:
    write(tier, chain(3))
    before = tier.statistics()
    write(tier, chain(3))
    assert tier.statistics() == before


def test_the_limit_holds_and_what_had_to_go_is_counted(tier: Tier) -> None:
    for seed in range(60):
        write(tier, chain(4, seed))
    found = tier.statistics()
    assert found.bytes <= 2 * LIMIT_BYTES + LIMIT_BYTES // 4  # of a disk: the limit, and the segment being written
    assert found.blocks + found.evicted_blocks == 240
    assert found.evicted_blocks > 0
    assert len(tier.keys()) == found.blocks
    keys = tier.keys()
    assert [read(tier, key) for key in keys] == [make(key).data for key in keys]


def test_a_damaged_block_is_dropped_and_counted(tier: Tier) -> None:
    good, bad = chain(2)
    write(tier, [good])
    tier.write(bad, good, StoredBlock(make(bad).data, checksum(b"something else")))
    settle(tier)
    assert read(tier, bad) is None
    assert bad not in tier
    assert tier.damaged() == (bad.hex(),)
    assert tier.statistics().damaged_blocks == 1
    write(tier, [good, bad])  # computed again
    assert read(tier, bad) == make(bad).data


def test_a_check_finds_what_a_read_would(tier: Tier) -> None:
    good, bad = chain(2)
    write(tier, [good])
    tier.write(bad, good, StoredBlock(make(bad).data, checksum(b"something else")))
    settle(tier)
    assert [tier.check(good), tier.check(bad)] == [True, False]
    assert bad not in tier
    assert tier.damaged() == (bad.hex(),)


def test_a_block_of_another_size_is_not_read(tier: Tier) -> None:
    (key,) = chain(1)
    write(tier, [key])
    assert read(tier, key, BLOCK_BYTES - 1) is None


def test_touching_what_is_absent_does_nothing(tier: Tier) -> None:
    tier.touch(chain(3))
    assert tier.keys() == []


def test_threads_may_write_and_read_at_once(tier: Tier) -> None:
    wrong: list[BlockKey] = []

    def work(seed: int) -> None:
        for key in chain(8, seed % 3):
            tier.write(key, NO_PARENT, make(key))
            if read(tier, key) not in (None, make(key).data):
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(tier)
    assert wrong == []
    assert tier.damaged() == ()
    assert tier.statistics().blocks == 24


def test_closing_twice_is_fine_and_a_persistent_tier_keeps_its_blocks(kind: Kind, tmp_path: Path) -> None:
    tier = kind.open(tmp_path / "tier")
    keys = chain(5)
    write(tier, keys)
    tier.close()
    tier.close()
    again = kind.open(tmp_path / "tier")
    assert [key in again for key in keys] == [kind.is_persistent] * 5
    if kind.is_persistent:
        assert [read(again, key) for key in keys] == [make(key).data for key in keys]
    again.close()
