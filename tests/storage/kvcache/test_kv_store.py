"""What the KV store promises: found after a restart, within its limits, and never a wrong byte."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedplate.core.blocks import BlockKey, KVNamespace, chain_keys
from bedplate.core.errors import UnavailableError, UsageError
from bedplate.storage.kvcache.base import NO_PARENT, StoredBlock
from bedplate.storage.kvcache.checksum import checksum
from bedplate.storage.kvcache.disk_tier import DiskTier
from bedplate.storage.kvcache.inspection import describe_directory, verify_directory
from bedplate.storage.kvcache.memory_tier import MemoryTier
from bedplate.storage.kvcache.open import open_kv_store
from bedplate.storage.kvcache.store import TieredKVStore
from bedplate.storage.kvcache.write_behind import WriteBehind

NAMESPACE = KVNamespace(weights_digest="0", config_digest="0", dtype="bf16", layout="test", block_tokens=4)
BLOCK_BYTES = 10_000  # not a multiple of a page


def chain(length: int, seed: int = 0) -> list[BlockKey]:
    return chain_keys(NAMESPACE, [seed] * 4 * length)


def block(key: BlockKey) -> bytes:
    return random.Random(key).randbytes(BLOCK_BYTES)


def fill(store: TieredKVStore, keys: list[BlockKey]) -> None:
    store.put(keys, [block(key) for key in keys])


def load(store: TieredKVStore, keys: list[BlockKey]) -> list[bytes]:
    buffers = [bytearray(BLOCK_BYTES) for _ in keys]
    loaded = store.get(keys, [memoryview(buffer) for buffer in buffers])
    return [bytes(buffer) for buffer in buffers[:loaded]]


def open_at(directory: Path, memory: str = "1MB", disk: str = "100MB") -> TieredKVStore:
    return open_kv_store(f"kv://{directory}?memory={memory}&disk={disk}")


def reopened(directory: Path, memory: str = "1MB") -> TieredKVStore:
    return open_at(directory, memory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "with blanks in it"


@pytest.fixture
def filled(directory: Path) -> Iterator[Path]:
    store = open_at(directory)
    fill(store, chain(20))
    store.close()
    yield directory


def test_what_was_put_comes_back() -> None:
    store = open_kv_store("kv:?memory=1MB")
    keys = chain(5)
    fill(store, keys)
    assert load(store, keys) == [block(key) for key in keys]


def test_the_longest_stored_prefix_is_matched() -> None:
    store = open_kv_store("kv:?memory=1MB")
    keys = chain(5)
    fill(store, keys[:3])
    assert store.match(keys) == 3
    assert store.match(chain(5, seed=1)) == 0
    assert len(load(store, keys)) == 3


def test_a_block_that_is_there_already_costs_nothing() -> None:
    store = open_kv_store("kv:?memory=1MB")
    keys = chain(3)
    fill(store, keys)
    assert store.put(keys, [block(key) for key in keys]) == 0
    assert store.statistics().put_blocks == 3


def test_a_chain_may_be_continued_by_its_last_blocks_alone() -> None:
    store = open_kv_store("kv:?memory=1MB")
    keys = chain(3)
    fill(store, keys[:2])
    assert store.put(keys, [block(keys[2])]) == 1
    assert load(store, keys) == [block(key) for key in keys]


def test_memory_keeps_its_limit_by_dropping_ends_of_chains() -> None:
    store = open_kv_store(f"kv:?memory={BLOCK_BYTES * 10}")
    old, new = chain(8), chain(6, seed=1)
    fill(store, old)
    fill(store, new)
    assert store.statistics().bytes <= BLOCK_BYTES * 10
    assert store.match(new) == 6
    assert store.match(old) == 4
    assert store.statistics().evicted_blocks == 4


def test_used_chains_outlive_unused_ones() -> None:
    store = open_kv_store(f"kv:?memory={BLOCK_BYTES * 10}")
    used, unused = chain(5), chain(5, seed=1)
    fill(store, used)
    fill(store, unused)
    load(store, used)
    fill(store, chain(4, seed=2))
    assert store.match(used) == 5
    assert store.match(unused) == 1


def test_blocks_survive_a_restart(filled: Path) -> None:
    store = reopened(filled)
    keys = chain(20)
    assert store.match(keys) == 20
    assert load(store, keys) == [block(key) for key in keys]
    store.close()


def test_what_memory_forgot_is_read_from_disk(directory: Path) -> None:
    store = open_at(directory, memory=str(BLOCK_BYTES * 2))
    keys = chain(12)
    fill(store, keys)
    store.wait_written()
    assert load(store, keys) == [block(key) for key in keys]
    store.close()


def test_the_disk_keeps_to_its_limit(directory: Path) -> None:
    store = open_at(directory, disk="400kB")
    for seed in range(10):
        fill(store, chain(10, seed))
    store.wait_written()
    on_disk = sum(file.stat().st_size for file in directory.glob("*.segment"))
    assert on_disk <= 400_000 + 50_000  # the limit, and at most one segment that is being written
    assert store.statistics().evicted_blocks > 0
    store.close()
    assert verify_directory(directory).damaged == ()


def test_a_directory_belongs_to_one_process(filled: Path) -> None:
    store = reopened(filled)
    with pytest.raises(UnavailableError, match="in use"):
        reopened(filled)
    store.close()
    reopened(filled).close()


def test_writes_beyond_the_queue_are_counted_and_kept_in_memory(directory: Path) -> None:
    store = TieredKVStore([MemoryTier(10_000_000), WriteBehind(DiskTier(directory), limit_bytes=0)])
    fill(store, chain(5))
    assert store.match(chain(5)) == 5
    assert store.statistics().dropped_blocks == 5
    store.close()
    assert describe_directory(directory).blocks == 0


def test_a_full_disk_costs_blocks_and_nothing_else(directory: Path) -> None:
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))\n"
        "from tests.storage.kvcache.test_kv_store import *\n"
        "store = open_at(Path(sys.argv[1])); fill(store, chain(20)); store.wait_written()\n"
        "assert load(store, chain(20)) == [block(key) for key in chain(20)]\n"
        "found = store.statistics()\n"
        "assert found.dropped_blocks == 20 - found.tiers[1].blocks > 0\n"
        "store.close()\n"
    )
    limited = run_python(script, directory)
    limited.communicate(timeout=30)
    assert limited.returncode == 0
    report = verify_directory(directory)
    assert report.damaged == ()
    assert 0 < report.blocks < 20


@pytest.mark.parametrize("flip", range(40))
def test_a_flipped_bit_on_disk_is_a_miss_and_never_an_answer(filled: Path, flip: int) -> None:
    place = random.Random(flip)
    segment = next(filled.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[place.randrange(len(data))] ^= 1 << place.randrange(8)
    segment.write_bytes(data)
    report = verify_directory(filled)
    assert len(report.damaged) == 1
    assert report.blocks == 20
    keys = chain(20)
    store = reopened(filled)
    for key in keys:
        assert load(store, [key]) in ([], [block(key)])
    assert sum(store.match([key]) for key in keys) >= 19
    fill(store, keys)  # computed again
    assert load(store, keys) == [block(key) for key in keys]
    store.close()
    store = reopened(filled)
    assert load(store, keys) == [block(key) for key in keys]
    store.close()


@pytest.fixture
def died(directory: Path, tmp_path: Path) -> Path:
    """What a process that died leaves: a store whose last segment is not sealed."""
    store = open_at(directory)
    fill(store, chain(20))
    store.wait_written()
    copy = shutil.copytree(directory, tmp_path / "died")
    store.close()
    return copy


@pytest.mark.parametrize("share", [0.0, 0.01, 0.333, 0.5, 0.99, 1.0])
def test_a_torn_tail_is_cut_off(died: Path, share: float) -> None:
    segment = next(died.glob("*.segment"))
    size = int(segment.stat().st_size * share)
    os.truncate(segment, size)
    assert verify_directory(died).damaged == ()
    store = reopened(died)
    keys = chain(20)
    found = store.match(keys)
    assert found == size // (4096 * 4)
    assert load(store, keys) == [block(key) for key in keys[:found]]
    assert store.statistics().damaged_blocks == 0
    store.close()
    assert verify_directory(died).blocks == found


def test_zeros_after_a_power_cut_are_a_torn_tail(died: Path) -> None:
    with next(died.glob("*.segment")).open("ab") as segment:
        segment.write(bytes(50_000))
    assert verify_directory(died).damaged == ()


def test_a_bit_that_flips_in_memory_is_a_miss() -> None:
    store = open_kv_store("kv:?memory=1MB")
    keys = chain(3)
    fill(store, keys)
    data = bytearray(block(keys[1]))
    data[77] ^= 4
    memory = store._tiers[0]
    memory.write(keys[1], keys[0], StoredBlock(data, checksum(block(keys[1]))))
    assert load(store, keys) == [block(keys[0])]
    assert store.statistics().damaged_blocks == 1
    assert store.match(keys) == 1


def test_integrity_check_finds_and_drops_damage_in_both_tiers(filled: Path) -> None:
    segment = next(filled.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[5000] ^= 1
    segment.write_bytes(data)
    store = reopened(filled)
    assert store.check_integrity().damaged == (chain(20)[0].hex(),)
    assert store.match(chain(20)) == 0
    store.close()


def test_damage_is_found_in_the_background_before_anybody_asks(filled: Path) -> None:
    segment = next(filled.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[3 * 16384 + 5000] ^= 1  # in the fourth block
    segment.write_bytes(data)
    tier = WriteBehind(DiskTier(filled), 1_000_000, check_every_s=0.0)
    deadline_s = time.monotonic() + 20
    while tier.statistics().checked_blocks < 20:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    found = tier.statistics()
    assert (found.blocks, found.damaged_blocks) == (19, 1)
    assert tier.damaged() == (chain(20)[3].hex(),)
    tier.close()


def test_kill_9_in_the_middle_of_writes_loses_no_committed_block(directory: Path) -> None:
    script = (
        "import sys\n"
        "from tests.storage.kvcache.test_kv_store import *\n"
        "store = open_at(Path(sys.argv[1]))\n"
        "for seed in range(10_000):\n"
        "    fill(store, chain(4, seed)); store.wait_written(); print(seed, flush=True)\n"
    )
    writer = run_python(script, directory)
    assert writer.stdout is not None
    committed = -1
    for line in writer.stdout:
        committed = int(line)
        if committed == 25:
            writer.send_signal(signal.SIGKILL)
    writer.wait()
    store = reopened(directory)
    for seed in range(committed + 1):
        assert load(store, chain(4, seed)) == [block(key) for key in chain(4, seed)]
    for seed in range(committed + 1, committed + 3):  # half done: whole or absent
        assert all(data == block(key) for key, data in zip(chain(4, seed), load(store, chain(4, seed)), strict=False))
    assert store.check_integrity().damaged == ()
    store.close()


def test_threads_read_and_write_at_once(directory: Path) -> None:
    store = open_at(directory, memory=str(BLOCK_BYTES * 20), disk="1MB")
    wrong: list[BlockKey] = []

    def work(worker: int) -> None:
        for step in range(30):
            keys = chain(4, seed=(worker + step) % 12)
            for key, data in zip(keys, load(store, keys), strict=False):
                if data != block(key):
                    wrong.append(key)
            fill(store, keys)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.statistics().damaged_blocks == 0
    store.close()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400)), max_size=60))
def test_memory_tier_never_passes_its_limit_and_counts_its_bytes(steps: list[tuple[int, int]]) -> None:
    tier = MemoryTier(1000)
    sizes: dict[bytes, int] = {}
    for name, size in steps:
        tier.write(bytes([name]), NO_PARENT, StoredBlock(bytes(size), checksum(bytes(size))))
        sizes[bytes([name])] = size
        keys = tier.keys()
        assert tier.statistics().bytes == sum(sizes[key] for key in keys) <= 1000


def test_statistics_tell_the_tiers_apart(directory: Path) -> None:
    store = open_at(directory, memory=str(BLOCK_BYTES * 4))
    fill(store, chain(10))
    store.wait_written()
    found = store.statistics()
    assert [(tier.name, tier.blocks, tier.evicted_blocks) for tier in found.tiers] == [("memory", 4, 6), ("disk", 10, 0)]
    assert (found.blocks, found.evicted_blocks, found.put_blocks) == (10, 0, 10)
    assert found.bytes == 4 * BLOCK_BYTES + describe_bytes(directory)
    store.close()


def describe_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob("*.segment"))


def test_a_key_of_another_length_is_refused_before_it_can_be_cut(directory: Path) -> None:
    store = open_at(directory)
    with pytest.raises(ValueError, match="adopted_key"):
        store.put([b"a key that is longer than thirty-two bytes"], [b"data"])
    store.close()


@pytest.mark.parametrize(
    "url", ["file:///tmp/x", "kv://host/x", "kv:///x?memry=1GB", "kv:?disk=1GB", "kv:?memory=lots"], ids=lambda url: str(url)
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_kv_store(url)


def run_python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    words = [sys.executable, "-c", script, *(str(argument) for argument in arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
