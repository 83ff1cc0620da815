"""A large file is read once; a kept digest never answers for other bytes."""

import json
import os
from pathlib import Path

import pytest

from bedplate.app.pipeline.file import content_digests
from bedplate.app.pipeline.file.content_digests import KEPT_FROM_BYTES, ContentDigests


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is worth keeping a digest of, and counts as settled at once."""
    monkeypatch.setattr(content_digests, "_SETTLED_S", -1.0)
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(KEPT_FROM_BYTES))
    return file


def kept(tmp_path: Path, file: Path) -> str:
    digests = ContentDigests(tmp_path / "digests.json")
    digest = digests.digest(file)
    digests.save()
    return digest


def spoil(tmp_path: Path) -> None:
    """Make every kept digest a wrong one, so that an answer from the file of digests is seen."""
    entries = json.loads((tmp_path / "digests.json").read_text())
    (tmp_path / "digests.json").write_text(json.dumps({key: [*entry[:-1], "kept"] for key, entry in entries.items()}))


def test_a_large_file_that_did_not_change_is_not_read_again(large: Path, tmp_path: Path) -> None:
    kept(tmp_path, large)
    spoil(tmp_path)
    assert kept(tmp_path, large) == "kept"


def test_a_touched_file_is_read_again_and_is_the_same(large: Path, tmp_path: Path) -> None:
    before = kept(tmp_path, large)
    spoil(tmp_path)
    os.utime(large)
    assert kept(tmp_path, large) == before


def test_other_bytes_with_the_same_size_and_time_are_seen(large: Path, tmp_path: Path) -> None:
    before, times = kept(tmp_path, large), large.stat()
    large.write_bytes(b"x" * KEPT_FROM_BYTES)
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kept(tmp_path, large) != before


def test_a_file_that_has_just_changed_is_not_kept(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_digests, "_SETTLED_S", 5.0)
    kept(tmp_path, large)
    assert not (tmp_path / "digests.json").exists()


def test_a_small_file_is_not_kept(large: Path, tmp_path: Path) -> None:
    large.write_bytes(b"x")
    kept(tmp_path, large)
    assert not (tmp_path / "digests.json").exists()


@pytest.mark.parametrize("damaged", ["", "[]", '{"1:2": 3}', '{"1:2": []}'])
def test_a_damaged_file_of_digests_costs_time_and_nothing_else(large: Path, tmp_path: Path, damaged: str) -> None:
    before = kept(tmp_path, large)
    (tmp_path / "digests.json").write_text(damaged)
    assert kept(tmp_path, large) == before
    assert len(json.loads((tmp_path / "digests.json").read_text())) == 1


def test_a_cache_that_cannot_be_written_is_no_error(large: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    digests = ContentDigests(tmp_path / "file" / "digests.json")
    assert len(digests.digest(large)) == 32
    digests.save()
