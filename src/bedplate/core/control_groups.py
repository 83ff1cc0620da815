"""Control groups: limits of processor time and memory that the kernel enforces, for a process and all that it starts.

Version 2 (one tree: `cpu.max`, `memory.max`) where it has both controllers, else version 1 (a tree a controller). A group is
made below that of this process, so what an administrator or container granted still holds. Whether one may be made is a
question of rights: root, or a delegated group. In version 2 a group that holds processes cannot hand its controllers to groups
below it, unless it is the root of the machine; so inside most containers it cannot be done.

Source: kernel documentation, admin-guide/cgroup-v2 and cgroup-v1/{cpu,memory}.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bedplate.core.errors import UnavailableError

PREFIX = "bedplate-"
_PERIOD_US = 100_000
MIN_CPU_MILLI = 10
"""The kernel takes no quota below 1 ms of every 100 ms."""
_CONTROLLERS = ("cpu", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What can be limited here."""

    cpu: bool
    memory: bool
    why_not: str = ""
    """For people; empty where both can be."""


def power(root: Path = Path("/")) -> Power:
    """What this process could limit; makes nothing."""
    if (parent := _v2_parent(root)) is not None:
        why_not = _v2_refusal(parent)
        return Power(cpu=not why_not, memory=not why_not, why_not=why_not)
    places = {name: _v1_parent(root, name) for name in _CONTROLLERS}
    able = {name: place is not None and os.access(place, os.W_OK) for name, place in places.items()}
    missing = [name for name, is_able in able.items() if not is_able]
    why_not = f"no writable control group for {' and '.join(missing)}" if missing else ""
    return Power(cpu=able["cpu"], memory=able["memory"], why_not=why_not)


def enter_new_group(name: str, cpu_milli: int | None, memory_bytes: int | None, root: Path = Path("/")) -> None:
    """Make a group with limits, and put this process into it; what it starts from now on is in it too.

    Args:
        name: Of the group; letters, digits, `-`.
        cpu_milli: Thousandths of a processor's time; None: no limit.
        memory_bytes: Memory of all its processes together; None: no limit.
        root: Where `/proc` and `/sys` are.

    Raises:
        UnavailableError: It cannot be made here.
    """
    try:
        for place, values in _plan(root, cpu_milli, memory_bytes):
            group = place / f"{PREFIX}{name}"
            group.mkdir()
            for file, value in values.items():
                (group / file).write_text(value)
            (group / "cgroup.procs").write_text("0")
    except OSError as error:
        raise UnavailableError(
            "a limit cannot be enforced: its control group cannot be made",
            seen=str(error),
            expected="root, or a control group that was delegated to this user",
            next_step="run as root or under 'systemd-run --user -p Delegate=yes', or ask for whole processors",
        ) from error


def remove_group(name: str, root: Path = Path("/")) -> None:
    """Take a group away; one that still holds a process stays, and `remove_abandoned` finds it later."""
    for parent in _parents(root):
        with suppress(OSError):
            (parent / f"{PREFIX}{name}").rmdir()


def remove_abandoned(root: Path = Path("/")) -> None:
    """Remove groups of ours that hold no process: of keepers that were killed."""
    for parent in _parents(root):
        for group in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                if not (group / "cgroup.procs").read_text().strip():
                    group.rmdir()


def _parents(root: Path) -> list[Path]:
    parents = [_v2_parent(root), *(_v1_parent(root, name) for name in _CONTROLLERS)]
    return [parent for parent in parents if parent is not None]


def _plan(root: Path, cpu_milli: int | None, memory_bytes: int | None) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Where a group is made, and what is written into it."""
    quota = None if cpu_milli is None else cpu_milli * _PERIOD_US // 1000
    if (parent := _v2_parent(root)) is not None:
        if why_not := _v2_refusal(parent):
            raise OSError(why_not)
        (parent / "cgroup.subtree_control").write_text("+cpu +memory")
        cpu = {} if quota is None else {"cpu.max": f"{quota} {_PERIOD_US}"}
        yield parent, cpu | ({} if memory_bytes is None else {"memory.max": str(memory_bytes)})
        return
    if quota is not None:
        yield _v1_place(root, "cpu"), {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    if memory_bytes is not None:
        yield _v1_place(root, "memory"), {"memory.limit_in_bytes": str(memory_bytes)}


def _v1_place(root: Path, controller: str) -> Path:
    place = _v1_parent(root, controller)
    if place is None:
        raise OSError(f"there is no control group for {controller}")
    return place


def _v1_parent(root: Path, controller: str) -> Path | None:
    path, mount = _own_path(root, controller), root / "sys/fs/cgroup" / controller
    if path is None or not mount.is_dir():
        return None
    # Inside a container the path may be that of the host and not exist here: then the mount is our own group.
    own = mount / path.lstrip("/")
    return own if own.is_dir() else mount


def _v2_parent(root: Path) -> Path | None:
    """Our own group in the one tree, if that has both controllers."""
    mount = root / "sys/fs/cgroup"
    controllers, path = mount / "cgroup.controllers", _own_path(root, "")
    if path is None or not controllers.is_file():
        return None
    own = mount / path.lstrip("/")
    return own if own.is_dir() else mount


def _v2_refusal(parent: Path) -> str:
    """Why no group can be made there; empty where one can."""
    granted = (parent / "cgroup.controllers").read_text().split()
    if missing := [name for name in _CONTROLLERS if name not in granted]:
        return f"the control group {parent} has no controller for {' and '.join(missing)}"
    if not os.access(parent, os.W_OK) or not os.access(parent / "cgroup.subtree_control", os.W_OK):
        return f"the control group {parent} cannot be written"
    handed_on = (parent / "cgroup.subtree_control").read_text().split()
    is_root = not (parent / "cgroup.type").exists()
    holds_processes = bool((parent / "cgroup.procs").read_text().strip())
    if not set(_CONTROLLERS) <= set(handed_on) and holds_processes and not is_root:
        return f"the control group {parent} holds processes and hands no controllers on"
    return ""


def _own_path(root: Path, controller: str) -> str | None:
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return None
