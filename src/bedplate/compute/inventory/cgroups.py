"""What the control groups of a container leave us: memory and processor time.

A container sees the whole machine in /proc/meminfo and /proc/cpuinfo; what it may use is in the files of its control
group and of every group above it, the smallest of which counts. Version 2 (one tree) and version 1 (a tree a
controller) both occur, also side by side. Source: kernel documentation, admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """The tightest memory limit over this process, or None where there is none."""
    texts = [*_values(root, "", "memory.max"), *_values(root, "memory", "memory.limit_in_bytes")]
    limits = [int(text) for text in texts if text.isdigit()]
    return min(limits, default=None)


def cpu_limit(root: Path = Path("/")) -> float | None:
    """Processors' worth of time that the tightest quota grants (1.5: one and a half), or None where there is none."""
    limits = []
    for text in _values(root, "", "cpu.max"):
        quota, _, period = text.partition(" ")
        limits += [int(quota) / int(period)] if quota.isdigit() else []
    periods = _values(root, "cpu", "cpu.cfs_period_us")
    for quota, period in zip(_values(root, "cpu", "cpu.cfs_quota_us"), periods, strict=False):
        limits += [int(quota) / int(period)] if int(quota) > 0 else []
    return min(limits, default=None)


def _values(root: Path, controller: str, name: str) -> Iterator[str]:
    """Contents of the file `name` in this process's group and in all groups above it, innermost first."""
    path = _group_path(root, controller)
    if path is None:
        return
    mount = root / "sys/fs/cgroup" / controller
    group = mount / path.lstrip("/")
    # Inside a container the path may be that of the host and not exist here: then the mount is our own group.
    for place in [group, *group.parents]:
        file = place / name
        if file.is_file():
            yield file.read_text().strip()
        if place == mount:
            return


def _group_path(root: Path, controller: str) -> str | None:
    file = root / "proc/self/cgroup"
    if not file.is_file():
        return None
    for line in file.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return None
