"""The directory of a disk tier: what marks it, what `kv verify` finds in it, and what is refused by name."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.core.errors import NotFoundError, UnavailableError, UsageError
from bedplate.core.json import Json, digest
from bedplate.storage.kvcache.inspection import describe_directory, verify_directory
from bedplate.storage.kvcache.manifest import MANIFEST_FILE
from bedplate.storage.kvcache.open import open_kv_store
from tests.storage.kvcache.test_kv_store import block, chain, fill, load, open_at, run_python

RECORD_BYTES = 4 * 4096  # a header page, and a block of 10,000 bytes in three pages


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of 60 blocks in 3 segments."""
    directory = tmp_path_factory.mktemp("sealed")
    store = open_at(directory, disk=str(8 * 20 * RECORD_BYTES))
    for seed in range(15):
        fill(store, chain(4, seed))
    store.close()
    assert describe_directory(directory).segments == 3
    return directory


@pytest.fixture
def directory(sealed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sealed, tmp_path / "kv")


@pytest.mark.parametrize("cut", range(100))
def test_every_cut_of_a_sealed_segment_is_found(directory: Path, cut: int) -> None:
    chance = random.Random(cut)
    segment = chance.choice(sorted(directory.glob("*.segment")))
    size = chance.randrange(segment.stat().st_size)
    os.truncate(segment, size)
    report = verify_directory(directory)
    assert report.blocks == 60
    assert len(report.damaged) == 20 - size // RECORD_BYTES
    assert all(segment.name in place for place in report.damaged)


def test_a_sealed_segment_that_is_gone_is_found(directory: Path) -> None:
    (directory / "00000002.segment").unlink()
    report = verify_directory(directory)
    assert (report.blocks, len(report.damaged)) == (60, 20)
    assert "00000002.segment is missing" in report.damaged[0]


def test_zeros_in_place_of_a_header_are_found(directory: Path) -> None:
    with (directory / "00000001.segment").open("r+b") as segment:
        segment.seek(3 * RECORD_BYTES)
        segment.write(bytes(RECORD_BYTES))
    assert len(verify_directory(directory).damaged) == 1


def test_a_truncated_segment_is_sealed_without_its_lost_blocks(directory: Path) -> None:
    os.truncate(directory / "00000001.segment", 7 * RECORD_BYTES + 99)
    store = open_kv_store(f"kv://{directory}?memory=1MB")
    assert store.statistics().damaged_blocks == 13
    assert sum(store.match(chain(4, seed)) for seed in range(15)) == 47
    store.close()
    report = verify_directory(directory)
    assert (report.blocks, report.damaged) == (47, ())


@pytest.mark.parametrize("damage", range(20))
def test_a_damaged_manifest_is_found_and_made_again_from_the_segments(directory: Path, damage: int) -> None:
    chance = random.Random(damage)
    data = bytearray((directory / MANIFEST_FILE).read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (directory / MANIFEST_FILE).write_bytes(data)
    report = verify_directory(directory)
    assert (report.blocks, report.damaged) == (60, (MANIFEST_FILE,))
    store = open_kv_store(f"kv://{directory}?memory=1MB")
    assert sum(store.match(chain(4, seed)) for seed in range(15)) == 60
    store.close()
    assert verify_directory(directory).damaged == ()


def test_a_store_of_another_version_is_left_as_it_is(directory: Path) -> None:
    content: dict[str, Json] = {"format": "bedplate-kv", "version": 7, "new": True}
    (directory / MANIFEST_FILE).write_text(json.dumps({**content, "digest": digest(content)}))
    before = {path: path.read_bytes() for path in directory.iterdir()}
    for opening in (verify_directory, lambda path: open_kv_store(f"kv://{path}")):
        with pytest.raises(UsageError, match="another version"):
            opening(directory)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_store_from_before_manifests_is_taken_over(directory: Path) -> None:
    (directory / MANIFEST_FILE).unlink()
    assert verify_directory(directory).blocks == 60
    open_kv_store(f"kv://{directory}").close()
    os.truncate(directory / "00000003.segment", 5 * RECORD_BYTES)
    assert len(verify_directory(directory).damaged) == 15


@pytest.mark.parametrize("names", [["notes.txt"], ["lock"], ["0001.segment"], []], ids=lambda names: ",".join(names) or "empty")
def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(NotFoundError, match="not a KV store") as refused:
        verify_directory(tmp_path)
    assert all(name in str(refused.value) for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("name", ["notes.txt", "0001.segment"])
def test_a_store_is_not_made_among_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="not empty") as refused:
        open_kv_store(f"kv://{tmp_path}")
    assert name in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_store_that_died_while_it_was_made_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / f".{MANIFEST_FILE}.4711.partial").write_text("{")
    open_kv_store(f"kv://{tmp_path}").close()
    assert verify_directory(tmp_path).blocks == 0


def test_a_directory_that_does_not_exist_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify_directory(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_read_only_directory_is_verified_without_a_trace(directory: Path) -> None:
    """By a process without rights in it: another user where the tests run as root."""
    (directory / "lock").unlink()
    for path in directory.iterdir():
        path.chmod(0o444)
    directory.chmod(0o555)
    before = sorted(path.name for path in directory.iterdir())
    script = (
        "import os, sys; from pathlib import Path\n"
        "from bedplate.storage.kvcache.inspection import *\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: Path('x').touch()\n"
        "except PermissionError: pass\n"
        "else: sys.exit('the directory can be written')\n"
        "print(verify_directory(Path('.')).blocks, describe_directory(Path('.')).segments)\n"
    )
    process = run_python(script, directory)
    out, _ = process.communicate(timeout=30)
    directory.chmod(0o755)
    assert out.split() == ["60", "3"]
    assert sorted(path.name for path in directory.iterdir()) == before


def test_readers_share_a_store_and_a_server_keeps_them_out(directory: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print(1); input()",
         str(directory / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    assert verify_directory(directory).blocks == 60
    with pytest.raises(UnavailableError, match="in use"):
        open_kv_store(f"kv://{directory}")
    holder.communicate("\n")
    store = open_kv_store(f"kv://{directory}")
    with pytest.raises(UnavailableError, match="in use"):
        verify_directory(directory)
    store.close()


def test_eviction_keeps_the_manifest_true(tmp_path: Path) -> None:
    store = open_at(tmp_path / "kv", disk=str(8 * 4 * RECORD_BYTES))
    for seed in range(30):
        fill(store, chain(4, seed))
        store.wait_written()
    assert store.statistics().evicted_blocks > 0
    copy = shutil.copytree(tmp_path / "kv", tmp_path / "died")
    store.close()
    for directory in (tmp_path / "kv", copy):
        assert verify_directory(directory).damaged == ()
    last = chain(4, 29)
    again = open_at(copy)
    assert load(again, last) == [block(key) for key in last]
    again.close()


def test_repeated_kills_never_damage_the_store(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from tests.storage.kvcache.test_kv_store import *\n"
        f"store = open_at(Path(sys.argv[1]), disk='{8 * 2 * RECORD_BYTES}')\n"
        "for seed in range(10_000):\n"
        "    fill(store, chain(4, int(sys.argv[2]) + seed)); store.wait_written(); print(seed, flush=True)\n"
    )
    chance = random.Random(0)
    for life in range(4):
        writer = run_python(script, tmp_path / "kv", life * 10_000)
        assert writer.stdout is not None
        for _ in range(chance.randrange(5, 12)):
            writer.stdout.readline()
        time.sleep(chance.random() * 0.02)
        writer.kill()
        writer.communicate()
        assert verify_directory(tmp_path / "kv").damaged == ()
    store = open_at(tmp_path / "kv")
    assert store.check_integrity().damaged == ()
    store.close()
