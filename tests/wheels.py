"""A package index in a folder: real wheels that real pip finds with the network switched off."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from bedplate.toolchain.fetch.wheel_file import WheelFile


def make_wheel(folder: Path, package: str, member: str, content: bytes) -> WheelFile:
    """Write `package` 1.0 with one file, and say what the catalog would say of it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = package.replace("-", "_")
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: not-there\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return WheelFile(
        package=package,
        version="1.0",
        member=member,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        download_bytes=wheel.stat().st_size,
    )


def use_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip, in this process's children, find what is in `folder` and nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
