"""This machine's CPUs: one device per NUMA node, as far as this process may use it.

Read from /proc and /sys alone, so it needs no tool and works in containers: cores are those of our affinity mask (cpusets
included), no more of them than the control groups grant processor time for; memory is that of the node, cut to the share that
the control groups leave. Linux on x86-64 and aarch64.

Nothing else in the platform reads processors: engines get them as `Node`s, from `node.py`.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Mapping
from pathlib import Path

from bedplate.compute.inventory.base import SupportLevel, Vendor
from bedplate.compute.inventory.cgroups import cpu_limit, memory_limit_bytes
from bedplate.core.devices import Device

VENDOR = Vendor(
    name="cpu",
    title="CPUs: x86-64, aarch64",
    device_prefix="cpu",
    device_kind="cpu",
    support=SupportLevel.MEASURED,
    probe="bedplate.compute.inventory.cpu:CpuProbe",
    reads_files_only=True,
    device_files=("proc/cpuinfo",),
    precisions={
        "avx2": ("fp32",),
        "avx512f": ("fp32",),
        "avx512_vnni": ("int8",),
        "avx512_bf16": ("bf16",),
        "amx_bf16": ("bf16",),
        "amx_int8": ("int8",),
        "amx_fp16": ("fp16",),
        "neon": ("fp32",),
        "sve": ("fp32",),
        "bf16": ("bf16",),
        "i8mm": ("int8",),
    },
)

FEATURES: dict[str, str] = {
    "avx2": "avx2",
    "fma": "fma",
    "f16c": "f16c",
    "avx_vnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512vl": "avx512vl",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_tile": "amx_tile",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "amx_fp16": "amx_fp16",
    "asimd": "neon",
    "asimdhp": "neon_fp16",
    "asimddp": "neon_dot",
    "bf16": "bf16",
    "i8mm": "i8mm",
    "sve": "sve",
    "sve2": "sve2",
    "svebf16": "sve_bf16",
    "svei8mm": "sve_i8mm",
    "sme": "sme",
}
"""Kernel flag -> our name, for the instruction sets that decide how fast matrices are multiplied."""

X86_VENDORS = {
    "GenuineIntel": "intel",
    "AuthenticAMD": "amd",
    "HygonGenuine": "hygon",
    "CentaurHauls": "zhaoxin",
    "Shanghai": "zhaoxin",
}
ARM_VENDORS = {
    0x41: "arm",
    0x46: "fujitsu",
    0x48: "huawei",
    0x4E: "nvidia",
    0x50: "ampere",
    0x51: "qualcomm",
    0x61: "apple",
    0x70: "phytium",
    0xC0: "ampere",
}
ARM_MODELS = {
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD83): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "TaiShan-v110 (Kunpeng 920)",
    (0x48, 0xD02): "TaiShan-v120",
    (0xC0, 0xAC3): "AmpereOne",
}
"""(implementer, part) of the MIDR register; aarch64 kernels give no model name. Source: util-linux, lscpu-arm.c."""


class CpuProbe:
    """CPUs of the machine whose file system is at `root` (tests put recorded machines there)."""

    def __init__(self, root: Path = Path("/"), cores: frozenset[int] | None = None, host: str | None = None) -> None:
        self._root = root
        allowed = frozenset(os.sched_getaffinity(0)) if cores is None else cores
        self._cores = _within_quota(allowed, cpu_limit(root), socket.gethostname() if host is None else host)

    def is_present(self) -> bool:
        """Whether the kernel shows its processors, as Linux does."""
        return (self._root / "proc/cpuinfo").is_file()

    def devices(self) -> tuple[Device, ...]:
        """One device for each NUMA node on which this process may use a core.

        Raises:
            OSError, ValueError: The kernel's files are not as documented.
        """
        first_core = _first_processor(self._root / "proc/cpuinfo", self._cores)
        vendor, model = _name(first_core)
        nodes = _numa_nodes(self._root)
        memory = _usable_memory_bytes(self._root, nodes)
        return tuple(
            Device(
                id=f"cpu:{node}",
                kind="cpu",
                vendor=vendor,
                model=model,
                memory_bytes=memory[node],
                cores=tuple(sorted(cores & self._cores)),
                features=_features(first_core),
            )
            for node, cores in nodes.items()
            if cores & self._cores
        )


def _within_quota(cores: frozenset[int], limit: float | None, host: str) -> frozenset[int]:
    """As many cores as there is processor time for, one at least: more threads than that only wait for the next period.

    The choice is free, but every container on a machine sees the same core numbers. So each starts at an offset derived
    from its host name; otherwise all of them would be pinned to the first cores.
    """
    count = len(cores) if limit is None else max(1, int(limit))
    if count >= len(cores):
        return cores
    ordered = sorted(cores)
    first = zlib.crc32(host.encode()) % len(ordered)
    return frozenset((ordered + ordered)[first : first + count])


def _first_processor(cpuinfo: Path, cores: frozenset[int]) -> dict[str, str]:
    """Fields of the first processor among `cores`; fields of processors that we may not use are left out."""
    for block in cpuinfo.read_text().split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if fields.get("processor", "").isdigit() and int(fields["processor"]) in cores:
            return fields
    raise ValueError(f"{cpuinfo} names none of our cores {sorted(cores)}")


def _name(fields: Mapping[str, str]) -> tuple[str, str]:
    if "vendor_id" in fields:
        vendor = fields["vendor_id"].strip()
        return X86_VENDORS.get(vendor, vendor), " ".join(fields.get("model name", "unknown").split())
    implementer, part = (int(fields.get(key, "0"), 16) for key in ("CPU implementer", "CPU part"))
    vendor = ARM_VENDORS.get(implementer, f"implementer {implementer:#x}")
    return vendor, ARM_MODELS.get((implementer, part), fields.get("model name", f"part {part:#x}"))


def _features(fields: Mapping[str, str]) -> tuple[str, ...]:
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return tuple(name for flag, name in FEATURES.items() if flag in flags)


def _numa_nodes(root: Path) -> dict[int, frozenset[int]]:
    """Cores of each NUMA node, in node order; one node with everything where the kernel shows none."""
    folders = {
        int(folder.name.removeprefix("node")): folder
        for folder in (root / "sys/devices/system/node").glob("node[0-9]*")
        if (folder / "cpulist").is_file()
    }
    nodes = {node: parse_core_list((folders[node] / "cpulist").read_text()) for node in sorted(folders)}
    if any(nodes.values()):
        return nodes
    text = (root / "proc/cpuinfo").read_text()
    return {0: frozenset(int(line.partition(":")[2]) for line in text.splitlines() if line.startswith("processor"))}


def _usable_memory_bytes(root: Path, nodes: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """Memory of each node that this process may have: a limit over all of them is divided in proportion to size."""
    allowed = _allowed_memory_nodes(root)
    totals = _node_memory_bytes(root, nodes)
    usable = {node: totals.get(node, 0) if allowed is None or node in allowed else 0 for node in nodes}
    limit, total = memory_limit_bytes(root), sum(usable.values())
    if limit is None or limit >= total:
        return usable
    return {node: size * limit // total for node, size in usable.items()}


def _node_memory_bytes(root: Path, nodes: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """Memory of every node, those without cores (CXL) included; their sum is the total of /proc/meminfo.

    The nodes' own totals serve as shares only: on virtual machines that grew while they ran they can add up to less than half.
    """
    total = _meminfo_bytes((root / "proc/meminfo").read_text(), "MemTotal:")
    files = (root / "sys/devices/system/node").glob("node[0-9]*/meminfo")
    shares = {int(file.parent.name.removeprefix("node")): _meminfo_bytes(file.read_text(), "MemTotal:") for file in files}
    shares = shares if any(shares.values()) else dict.fromkeys(nodes, 1)
    return {node: total * share // sum(shares.values()) for node, share in shares.items()}


def _meminfo_bytes(text: str, key: str) -> int:
    """`Node 0 MemTotal:  24601024 kB` -> bytes."""
    words = next(line for line in text.splitlines() if key in line).split()
    return int(words[words.index(key) + 1]) * 1024


def _allowed_memory_nodes(root: Path) -> frozenset[int] | None:
    file = root / "proc/self/status"
    lines = file.read_text().splitlines() if file.is_file() else []
    found = [line.partition(":")[2] for line in lines if line.startswith("Mems_allowed_list:")]
    return parse_core_list(found[0]) if found else None


def parse_core_list(text: str) -> frozenset[int]:
    """`0-3,8,10-11` -> {0, 1, 2, 3, 8, 10, 11}; ValueError when it is not such a list."""
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.strip().partition("-")
        cores |= set(range(int(first), int(last or first) + 1)) if first else set()
    return frozenset(cores)
