"""What a machine needs around its devices: small checks, each with the command that fixes what it finds.

Every check is a function from `HostFacts` to `Check`s and leaves nothing behind. `fail` is kept for what stops bedplate
itself; what only some use cases need is a warning, and what cannot be determined is unknown.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bedplate.core.json import JsonObject
from bedplate.core.units import format_bytes

CheckStatus = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question about the machine, answered."""

    name: str
    status: CheckStatus
    seen: str
    """What was found, for people."""
    fix: str = ""
    """What to do, with the command that does it; empty when nothing is to be done."""

    def as_json(self) -> JsonObject:
        """One entry of `doctor -o json`."""
        return {"name": self.name, "status": self.status, "seen": self.seen, "fix": self.fix}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Facts passed to the checks: paths, and limits that other parts know."""

    state: Path
    cache: Path
    cpu_limit: float | None = None
    """Processors' worth of time that a control group grants; None: no limit."""
    memory_limit_bytes: int | None = None
    """What a control group grants; None: no limit."""
    vendor_tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Commands that come with each accelerator vendor's driver."""


PACKAGES = {
    "torch": ("2.6", "train and serve models, measure bf16 and int8"),
    "tokenizers": ("0.21", "tokenise text"),
    "safetensors": ("0.5", "read and write weights"),
    "gguf": ("0.10", "read GGUF models"),
    "ray": ("2.44", "run on a cluster"),
}
"""Package -> oldest version, and what it is for."""
EXTRAS = {"torch": "train", "tokenizers": "train", "safetensors": "train", "gguf": "train", "ray": "ray"}
MIN_PYTHON, MAX_PYTHON = (3, 11), (3, 13)
MIN_DISK_BYTES, GOOD_DISK_BYTES = 10**9, 10**10
MIN_MEMORY_BYTES, GOOD_MEMORY_BYTES = 2 * 10**9, 12 * 10**9
GOOD_SHARED_MEMORY_BYTES = 10**9
GOOD_DESCRIPTORS = 4096
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


def check_host(facts: HostFacts) -> tuple[Check, ...]:
    """All checks, in the order of `HOST_CHECKS`."""
    return tuple(check for look in HOST_CHECKS for check in look(facts))


def _python(_facts: HostFacts) -> Iterable[Check]:
    version = sys.version_info[:2]
    seen = sys.version.split()[0]
    if MIN_PYTHON <= version <= MAX_PYTHON:
        yield Check(name="python", status="ok", seen=seen)
    else:
        yield Check(
            name="python", status="fail", seen=seen, fix="install Python 3.12, then: make clean setup PYTHON=python3.12"
        )


def _packages(_facts: HostFacts) -> Iterable[Check]:
    for package, (oldest, purpose) in PACKAGES.items():
        fix = f"needed to {purpose}: pip install 'bedplate[{EXTRAS[package]}]'"
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield Check(name=package, status="warn", seen="not installed", fix=fix)
            continue
        is_old = _version_numbers(version) < _version_numbers(oldest)
        yield Check(
            name=package, status="warn" if is_old else "ok", seen=version, fix=f"{oldest} or newer is {fix}" if is_old else ""
        )


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def _disks(facts: HostFacts) -> Iterable[Check]:
    for name, path, variable in _places(facts):
        free_bytes = shutil.disk_usage(_nearest_existing(path)).free
        status: CheckStatus = "ok" if free_bytes >= GOOD_DISK_BYTES else "warn" if free_bytes >= MIN_DISK_BYTES else "fail"
        fix = f"free space there, or use another disk: export {variable}=DIR"
        yield Check(
            name=f"disk-{name}",
            status=status,
            seen=f"{format_bytes(free_bytes)} free at {path}",
            fix="" if status == "ok" else fix,
        )


def _writable(facts: HostFacts) -> Iterable[Check]:
    for name, path, variable in _places(facts):
        existing = _nearest_existing(path)
        try:
            # A real file is created: permission bits do not reveal read-only mounts and quotas.
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(b"x")
                file.flush()
        except OSError as error:
            fix = f"chown -R $USER {existing}, or use another folder: export {variable}=DIR"
            yield Check(name=f"{name}-writable", status="fail", seen=str(error), fix=fix)
        else:
            yield Check(name=f"{name}-writable", status="ok", seen=str(path))


def _places(facts: HostFacts) -> tuple[tuple[str, Path, str], ...]:
    return ("state", facts.state, "XDG_STATE_HOME"), ("cache", facts.cache, "XDG_CACHE_HOME")


def _nearest_existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.is_dir())


def _memory(facts: HostFacts) -> Iterable[Check]:
    import psutil

    available = psutil.virtual_memory().available
    usable = available if facts.memory_limit_bytes is None else min(available, facts.memory_limit_bytes)
    status: CheckStatus = "ok" if usable >= GOOD_MEMORY_BYTES else "warn" if usable >= MIN_MEMORY_BYTES else "fail"
    fix = "stop what you do not need (ps aux --sort=-rss | head), or use smaller models; the demo needs 12 GB"
    yield Check(name="memory", status=status, seen=f"{format_bytes(usable)} available", fix="" if status == "ok" else fix)


def _shared_memory(_facts: HostFacts) -> Iterable[Check]:
    place = Path("/dev/shm")  # noqa: S108 -- inspected, not written to
    fix = "mount -o remount,size=4G /dev/shm, or start the container with --shm-size=4g"
    size_bytes = shutil.disk_usage(place).total if place.is_dir() else 0
    status: CheckStatus = "ok" if size_bytes >= GOOD_SHARED_MEMORY_BYTES else "warn"
    yield Check(name="shm", status=status, seen=format_bytes(size_bytes), fix="" if status == "ok" else fix)


def _descriptors(_facts: HostFacts) -> Iterable[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = soft >= GOOD_DESCRIPTORS or soft == resource.RLIM_INFINITY
    wanted = GOOD_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, 65536)
    fix = "" if is_enough else f"ulimit -n {wanted} (and 'nofile' in /etc/security/limits.conf to keep it)"
    yield Check(name="file-descriptors", status="ok" if is_enough else "warn", seen=f"{soft} of at most {hard}", fix=fix)


def _loopback(_facts: HostFacts) -> Iterable[Check]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address, timeout=2.0):
                yield Check(name="loopback", status="ok", seen=f"port {address[1]} of 127.0.0.1 accepts connections")
    except OSError as error:
        fix = "ip link set lo up; and allow 127.0.0.1 in the firewall"
        yield Check(name="loopback", status="fail", seen=str(error), fix=fix)


def _clock(_facts: HostFacts) -> Iterable[Check]:
    installed_s = Path(__file__).stat().st_mtime
    behind_s = installed_s - time.time()
    if behind_s > 60:
        seen = f"the clock is {behind_s / 3600:.1f} h behind the files of bedplate itself"
        yield Check(name="clock", status="fail", seen=seen, fix="timedatectl set-ntp true, or: date -s '...'")
        return
    seen = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    yield Check(name="clock", status="ok", seen=seen)


def _affinity(facts: HostFacts) -> Iterable[Check]:
    usable, present = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    seen = f"{usable} of {present} cores"
    if facts.cpu_limit is not None and facts.cpu_limit < usable:
        fix = f"request full cores (docker --cpuset-cpus), or run with fewer: taskset -c 0-{max(0, int(facts.cpu_limit) - 1)} …"
        yield Check(name="affinity", status="warn", seen=f"{seen}, but CPU time for only {facts.cpu_limit:g}", fix=fix)
    elif usable < present:
        yield Check(name="affinity", status="ok", seen=f"{seen}: the others are not available (cpuset or taskset)")
    else:
        yield Check(name="affinity", status="ok", seen=seen)


def _models(facts: HostFacts) -> Iterable[Check]:
    found = sorted(file.parent.name for file in (facts.cache / "models").glob("*/config.json"))
    fix = "" if found else "the demo needs one: bedplate model fetch smollm2-135m-instruct"
    yield Check(name="model-cache", status="ok" if found else "warn", seen=", ".join(found) or "no model", fix=fix)


def _kernel_powers(_facts: HostFacts) -> Iterable[Check]:
    fix = "the local engine needs Linux 5.3 or newer without a seccomp filter: docker run --security-opt seccomp=unconfined"
    for name, look in (("memfd", _try_memfd), ("pidfd", _try_pidfd), ("subreaper", _try_subreaper)):
        try:
            look()
        except (OSError, AttributeError) as error:
            yield Check(name=name, status="fail", seen=str(error), fix=fix)
        else:
            yield Check(name=name, status="ok", seen="works")


def _try_memfd() -> None:
    os.close(os.memfd_create("bedplate-doctor"))


def _try_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _try_subreaper() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    now = ctypes.c_int()
    # Set to what it is already: shows that it may be set, and changes nothing.
    failed = library.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(now), 0, 0, 0)
    if failed or library.prctl(_PR_SET_CHILD_SUBREAPER, now.value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _gpu_tools(facts: HostFacts) -> Iterable[Check]:
    known = dict.fromkeys(tool for tools in facts.vendor_tools.values() for tool in tools)  # two vendors may share a name
    found = [tool for tool in known if shutil.which(tool)]
    if not found:
        yield Check(name="gpu-tools", status="ok", seen="none found: CPUs only")
        return
    fix = "this version places work on CPUs only; accelerators are not used"
    yield Check(name="gpu-tools", status="warn", seen=", ".join(found), fix=fix)


HOST_CHECKS: tuple[Callable[[HostFacts], Iterable[Check]], ...] = (
    _python,
    _packages,
    _disks,
    _writable,
    _memory,
    _shared_memory,
    _descriptors,
    _loopback,
    _clock,
    _affinity,
    _models,
    _kernel_powers,
    _gpu_tools,
)
