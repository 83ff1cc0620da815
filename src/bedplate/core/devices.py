"""Nodes and the devices in them, CPUs included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bedplate.core.json import JsonObject


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
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine (one raylet, one simulated machine)."""

    id: str
    devices: tuple[Device, ...]
    memory_bytes: int
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_cores(self) -> int:
        """Cores of all CPU devices."""
        return sum(len(device.cores) for device in self.devices if device.kind == "cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Cores of a node that no work is placed on any more."""

    node_id: str
    cores: tuple[int, ...]
    """A core that an over-subscribed node lists twice may be named twice: each mention takes out one of its slots."""
    reason: str
    """Why, for people."""


def hardware_text(nodes: Iterable[Node]) -> str:
    """What a measurement ran on, for people: `2 x AMD EPYC core, 1 x H100`."""
    counts: dict[str, int] = {}
    for device in (device for node in nodes for device in node.devices):
        what = f"{device.model} core" if device.kind == "cpu" else device.model
        counts[what] = counts.get(what, 0) + (len(set(device.cores)) if device.kind == "cpu" else 1)
    return ", ".join(f"{count} x {what}" for what, count in counts.items())
