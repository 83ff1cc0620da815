"""Nodes and the devices in them, CPUs included."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject, plain

DECLARED = "declared"
"""Vendor of accelerators that a cluster manager counts and no probe lists: only the manager's word for a model is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRates:
    """What a device was measured to do; None where it cannot be measured here."""

    matmul_flops: Mapping[str, float | None] = field(default_factory=dict)
    """FLOP/s of a large matrix product by precision: `fp32`, `bf16`, `int8` (integer operations/s)."""
    memory_bandwidth_bytes_per_s: float | None = None
    """Bytes read plus written per second by a large copy."""
    disturbed: tuple[str, ...] = ()
    """Precisions, and `copy`, that were measured while other work took much of the machine: lower bounds, never stored."""

    def as_json(self) -> JsonObject:
        """The `measured` object of `doctor -o json`."""
        return {
            "matmul_flops": {name: self.matmul_flops.get(name) for name in ("fp32", "bf16", "int8")},
            "memory_bandwidth_bytes_per_s": self.memory_bandwidth_bytes_per_s,
            "disturbed": list(self.disturbed),
        }


class HealthState(enum.StrEnum):
    """How far a device can be trusted with work."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, and something is wrong: corrected errors, a link below its rate, a pending repair."""
    FAILED = "failed"
    """It must not be given work."""
    UNKNOWN = "unknown"
    """Nobody asked it, or it cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """What a device says about itself."""

    state: HealthState = HealthState.UNKNOWN
    findings: tuple[str, ...] = ()
    """Why it is not `ok`, for people; each with the vendor's code where there is one."""
    codes: tuple[str, ...] = ()
    """The vendor's own words for it: `Xid 48`, `0x80E01801`, `Alarm`; keys of its `health_codes` where known."""


class Proximity(enum.StrEnum):
    """What lies between two devices of one node, nearest first."""

    BOARD = "board"
    """Two chips of one card."""
    LINK = "link"
    """A direct connection, or one over a switch of its own kind: NVLink, HCCS, xGMI …; `Device.links` say which."""
    PCIE_SWITCH = "pcie-switch"
    """One PCIe switch."""
    PCIE_SWITCHES = "pcie-switches"
    """Several PCIe switches, without the host bridge."""
    HOST_BRIDGE = "host-bridge"
    """The PCIe host bridge, often the processor itself."""
    NUMA_NODE = "numa-node"
    """Several host bridges of one NUMA node."""
    SYSTEM = "system"
    """The link between NUMA nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLink:
    """A direct connection of a device to another one."""

    to: str
    """`Device.id` in the same node, or the name of a switch."""
    kind: str
    """`nvlink`, `hccs`, `xgmi`, `pcie` …"""
    count: int = 1
    """Parallel lanes or ports of this kind."""
    bandwidth_bytes_per_s: float | None = None
    """Of all of them together, one direction, as the vendor states it; None where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePartition:
    """A slice of a device that can be given away by itself, as its driver made it (MIG and its kin)."""

    id: str
    profile: str
    """The vendor's name for its size: `1g.10gb`."""
    memory_bytes: int
    """0 where its profile does not say."""
    kind: str = "mig"
    """`mig`, `vnpu`, `compute` (AMD: XCDs of a package), `smlu`, `sriov` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAddress:
    """How the system and a container runtime name a device; empty where its tools do not say."""

    pci_bus_id: str = ""
    """`0000:c1:00.0`: as the kernel writes it, whatever the vendor's tool prints."""
    uuid: str = ""
    serial: str = ""
    """Of the board; two chips of one card have the same."""
    board: str = ""
    """The card that it sits on, unique in its node; set where a card may carry several devices."""
    numa_node: int | None = None
    device_files: tuple[str, ...] = ()
    """What a container needs to reach this device: `/dev/davinci0`, `/dev/dri/renderD128`. Files that all share are not."""
    cdi: str = ""
    """Its name in the Container Device Interface: `nvidia.com/gpu=GPU-8a56…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUsage:
    """What a device did when it was asked; None where its tools do not say."""

    utilisation_frac: float | None = None
    """Share of the last sampling period in which it computed, 0 to 1."""
    memory_used_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    """What it is allowed to draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """How a process is limited to a device: an environment variable of the vendor's runtime, and the device's word in it."""

    variable: str
    """`CUDA_VISIBLE_DEVICES`; the words of several devices are joined by commas."""
    word: str
    """`3`, `GPU-8a56…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRuntime:
    """What a process needs to compute on a device, beside seeing it; whoever reads the node fills it in."""

    backend: str = "cpu"
    """`Backend.name`: by which a worker finds the rest."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that an engine sets for a task on the device, before its process starts."""
    precisions: tuple[str, ...] = ()
    """What it computes in; empty where nobody knows, and the backend's own rules hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Any processor that work is placed on; a CPU is one device per NUMA node."""

    id: str
    """Unique in its node: `cpu:0`, `cuda:3`."""
    kind: str
    """`cpu`, `gpu` or `npu`."""
    vendor: str
    model: str
    memory_bytes: int
    cores: tuple[int, ...] = ()
    """Operating-system core ids of a CPU device; the near ones of an accelerator."""
    features: tuple[str, ...] = ()
    """Instruction sets and abilities: `avx512_bf16`, `amx_bf16`, `fp8`."""
    measured: DeviceRates = field(default_factory=DeviceRates)
    links: tuple[DeviceLink, ...] = ()
    distances: Mapping[str, Proximity] = field(default_factory=dict)
    """`Device.id` of another device in the node -> what lies between; those that nobody described are missing."""
    health: DeviceHealth = field(default_factory=DeviceHealth)
    partitions: tuple[DevicePartition, ...] = ()
    generation: str = ""
    """Its architecture, as the vendor calls it: `Hopper`, `gfx942`, `Ascend 910B`. Empty where that is not known."""
    address: DeviceAddress = field(default_factory=DeviceAddress)
    usage: DeviceUsage = field(default_factory=DeviceUsage)
    visibility: Visibility | None = None
    """How an engine shows it to a task and hides it from others. None: every process of the machine sees it, as with CPUs."""
    runtime: DeviceRuntime = field(default_factory=DeviceRuntime)
    """What a process on it needs."""

    def as_json(self) -> JsonObject:
        """One entry of `doctor -o json`."""
        return {
            "id": self.id,
            "kind": self.kind,
            "vendor": self.vendor,
            "model": self.model,
            "memory_bytes": self.memory_bytes,
            "cores": list(self.cores),
            "features": list(self.features),
            "measured": self.measured.as_json(),
            "links": [
                {"to": link.to, "kind": link.kind, "count": link.count, "bandwidth_bytes_per_s": link.bandwidth_bytes_per_s}
                for link in self.links
            ],
            "distances": {other: proximity.value for other, proximity in self.distances.items()},
            "health": {
                "state": self.health.state.value,
                "findings": list(self.health.findings),
                "codes": list(self.health.codes),
            },
            "partitions": [plain(asdict(item)) for item in self.partitions],
            "generation": self.generation,
            "address": plain(asdict(self.address)),
            "usage": plain(asdict(self.usage)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine (one raylet, one simulated machine)."""

    id: str
    devices: tuple[Device, ...]
    memory_bytes: int
    labels: Mapping[str, str] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    """What could not be read of it, for people: a vendor's tool that is broken or hangs."""

    @property
    def num_cores(self) -> int:
        """Cores of all CPU devices."""
        return sum(len(device.cores) for device in self.devices if device.kind == "cpu")

    @property
    def cores(self) -> tuple[int, ...]:
        """Core ids of all CPU devices, ascending; a core that is listed twice comes twice."""
        return tuple(sorted(core for device in self.devices if device.kind == "cpu" for core in device.cores))

    def with_cores(self, cores: Iterable[int]) -> Node:
        """The same node with these cores only: some of its own, or a core twice so that it takes two tasks.

        Raises:
            UsageError: A core that the node does not have.
        """
        wanted, known = sorted(cores), set(self.cores)
        if not wanted or not known.issuperset(wanted):
            raise UsageError(f"not cores of node '{self.id}'", seen=wanted, expected=f"some of {sorted(known)}")
        devices = [
            replace(device, cores=tuple(core for core in wanted if core in device.cores)) if device.kind == "cpu" else device
            for device in self.devices
        ]
        return replace(self, devices=tuple(device for device in devices if device.kind != "cpu" or device.cores))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Cores of a node that no work is placed on any more."""

    node_id: str
    cores: tuple[int, ...]
    """A core that an over-subscribed node lists twice may be named twice: each mention takes it out once."""
    reason: str
    """Why, for people."""


def hardware_text(nodes: Iterable[Node], *, accelerators: bool = False) -> str:
    """What a measurement ran on, for people: `2 x AMD EPYC core, 1 x H100`.

    Args:
        nodes: Where it ran.
        accelerators: Whether it used the accelerators of the nodes. A node has them whether work was given any or not.
    """
    counts: dict[str, int] = {}
    for device in (device for node in nodes for device in node.devices):
        if device.kind == "cpu":
            counts[f"{device.model} core"] = counts.get(f"{device.model} core", 0) + len(set(device.cores))
        elif accelerators:
            counts[device.model] = counts.get(device.model, 0) + 1
    return ", ".join(f"{count} x {what}" for what, count in counts.items())
