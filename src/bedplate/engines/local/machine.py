"""This machine as one node: a CPU device per NUMA node, read from /proc and /sys.

Only what placement needs. The full inventory (every vendor, measured rates) is `compute`'s, which engines cannot import.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from bedplate.core.devices import Device, Node

_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16", "i8mm")


def usable_cores() -> tuple[int, ...]:
    """Cores that this process may run on, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def this_node(slots: Sequence[int], accelerators: Sequence[Device] = ()) -> Node:
    """This machine with the given core slots; a core that is listed twice is a device's core twice."""
    vendor, model, features = _cpu_identity(Path("/proc/cpuinfo").read_text())
    numa_of = core_numa_nodes()
    total_bytes = _memory_bytes(Path("/proc/meminfo").read_text())
    shares = _numa_shares()
    devices = []
    for numa in sorted({numa_of.get(core, 0) for core in slots}):
        devices.append(
            Device(
                id=f"cpu:{numa}",
                kind="cpu",
                vendor=vendor,
                model=model,
                memory_bytes=round(total_bytes * shares.get(numa, 1.0)),
                cores=tuple(sorted(core for core in slots if numa_of.get(core, 0) == numa)),
                features=features,
            )
        )
    return Node(id=socket.gethostname(), devices=(*devices, *accelerators), memory_bytes=total_bytes)


def _numa_shares() -> dict[int, float]:
    """Share of the machine's memory in each NUMA node. In some virtual machines the nodes' own totals are out of date, so
    only their proportion is used.
    """
    sizes = {
        int(file.parent.name.removeprefix("node")): _memory_bytes(file.read_text())
        for file in Path("/sys/devices/system/node").glob("node[0-9]*/meminfo")
    }
    return {node: size / sum(sizes.values()) for node, size in sizes.items()} if any(sizes.values()) else {}


def core_numa_nodes() -> dict[int, int]:
    """NUMA node of each core; empty where the kernel does not say."""
    nodes = {}
    for directory in Path("/sys/devices/system/node").glob("node[0-9]*"):
        for core in parse_core_list((directory / "cpulist").read_text()):
            nodes[core] = int(directory.name.removeprefix("node"))
    return nodes


def parse_core_list(text: str) -> tuple[int, ...]:
    """The kernel's `0-3,8,10-11` -> (0, 1, 2, 3, 8, 10, 11)."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cores.extend(range(int(first), int(last or first) + 1))
    return tuple(cores)


def _cpu_identity(cpuinfo: str) -> tuple[str, str, tuple[str, ...]]:
    def value(*keys: str) -> str:
        for key in keys:
            if match := re.search(rf"^{key}\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
                return match[1].strip()
        return ""

    vendor = {"GenuineIntel": "intel", "AuthenticAMD": "amd", "0x41": "arm", "0x48": "huawei"}
    identity = value("vendor_id", "CPU implementer")
    flags = set(value("flags", "Features").split())
    model = value("model name", "CPU part") or os.uname().machine
    return vendor.get(identity, identity or "unknown"), model, tuple(flag for flag in _FEATURES if flag in flags)


def _memory_bytes(meminfo: str) -> int:
    match = re.search(r"MemTotal:\s+(\d+) kB", meminfo)
    return int(match[1]) * 1024 if match else 0
