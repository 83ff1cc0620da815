"""`bedplate storage kv`: whole, damaged, absent."""

import os
import random
from pathlib import Path

import pytest

from bedplate.core.blocks import KVNamespace, chain_keys
from bedplate.storage.kvcache.open import open_kv_store
from tests.command_line import CommandLine

NAMESPACE = KVNamespace(weights_digest="0", config_digest="0", dtype="bf16", layout="test", block_tokens=1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    store = open_kv_store(f"kv://{tmp_path / 'kv'}?memory=1MB")
    keys = chain_keys(NAMESPACE, range(10))
    store.put(keys, [random.Random(key).randbytes(5000) for key in keys])
    store.close()
    return tmp_path / "kv"


def test_a_whole_store_is_counted(directory: Path) -> None:
    ended = CommandLine(folder=directory.parent).call("storage", "kv", "verify", directory, "-o", "json")
    assert ended.code == 0
    assert (ended.json["blocks"], ended.json["damaged"]) == (10, 0)
    assert ended.json["seconds"] > 0


def test_a_damaged_block_is_counted_and_the_exit_code_is_4(directory: Path) -> None:
    segment = next(directory.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[4500] ^= 2
    segment.write_bytes(data)
    ended = CommandLine(folder=directory.parent).call("storage", "kv", "verify", directory, "-o", "json")
    assert ended.code == 4
    assert (ended.json["blocks"], ended.json["damaged"]) == (10, 1)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = CommandLine(folder=tmp_path).call("storage", "kv", "verify", tmp_path / "none")
    assert ended.code == 3
    assert "none" in ended.err


def test_stat_reads_the_headers(directory: Path) -> None:
    ended = CommandLine(folder=directory.parent).call("storage", "kv", "stat", directory, "-o", "json")
    assert (ended.json["blocks"], ended.json["segments"]) == (10, 1)
    assert ended.json["bytes"] == 10 * 3 * 4096


def test_a_cut_segment_is_counted_by_its_lost_blocks(directory: Path) -> None:
    segment = next(directory.glob("*.segment"))
    os.truncate(segment, segment.stat().st_size * 3 // 10)
    ended = CommandLine(folder=directory.parent).call("storage", "kv", "verify", directory, "-o", "json")
    assert ended.code == 4
    assert (ended.json["blocks"], ended.json["damaged"]) == (10, 7)
    assert segment.name in ended.json["places"][0]


@pytest.mark.parametrize("verb", ["verify", "stat"])
def test_a_folder_that_is_no_store_is_refused_by_name(tmp_path: Path, verb: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ended = CommandLine(folder=tmp_path).call("storage", "kv", verb, tmp_path)
    assert ended.code == 3
    assert "notes.txt" in ended.err
