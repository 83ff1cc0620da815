"""A store is tried with a real file: how fast, how much room, or why not."""

from pathlib import Path

from bedplate.operations.preflight.stores import try_store


def test_a_directory_that_works_has_rates_and_keeps_no_file(tmp_path: Path) -> None:
    report = try_store("state", tmp_path / "new", need_bytes=1, floor_bytes_per_s=1.0, size_bytes=2**22)
    assert report.reason == ""
    assert (report.write_bytes_per_s or 0) > 1e5
    assert (report.read_bytes_per_s or 0) > 1e5
    assert list((tmp_path / "new").iterdir()) == []


def test_too_little_room_is_a_reason(tmp_path: Path) -> None:
    report = try_store("state", tmp_path, need_bytes=10**18, floor_bytes_per_s=1.0, size_bytes=2**20)
    assert "the job needs 1000 PB" in report.reason


def test_a_store_below_the_floor_is_too_slow(tmp_path: Path) -> None:
    report = try_store("state", tmp_path, need_bytes=1, floor_bytes_per_s=1e15, size_bytes=2**20)
    assert "at least 1.00 PB/s is needed" in report.reason


def test_what_is_no_directory_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = try_store("cache", tmp_path / "file", need_bytes=1, floor_bytes_per_s=1.0)
    assert report.reason.startswith("cannot be used: ")
    assert report.write_bytes_per_s is None


def test_a_file_system_that_takes_no_file_cannot_be_used() -> None:
    report = try_store("cache", Path("/proc"), need_bytes=1, floor_bytes_per_s=1.0)
    assert report.reason.startswith("cannot be used: ")
