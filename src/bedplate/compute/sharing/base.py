"""A mechanism that holds tasks to their shares of a device: how it is noticed, what it enforces, how a task starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.core.devices import Device
from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject

LOGICAL = "logical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one task gets of a device."""

    frac: float
    """Of its computing, above 0, at most 1."""
    memory_bytes: int

    def __post_init__(self) -> None:
        if not (0 < self.frac <= 1 and self.memory_bytes > 0):
            raise UsageError("no such share of a device", seen=self, expected="a fraction above 0, at most 1, and some memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a mechanism looks at to see whether it is there; tests put recorded machines in its place."""

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a task is started on its share."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Over the environment that its device gives it."""
    cpu_milli: int | None = None
    """`Resources.cpu_milli`: what the engine has the kernel enforce."""
    memory_bytes: int | None = None
    """`Resources.memory_bytes`."""
    partition: str = ""
    """`DevicePartition.id` that the share is; empty: a share of the entire device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionEnforcer:
    """One mechanism."""

    name: str
    """`mig`, `mps`, `hami-core`, `vnpu`, `cgroup`, or `logical`, which is none."""
    vendors: tuple[str, ...]
    """`Device.vendor` of the devices that it is for; `cpu`: processors; empty: all."""
    enforces_memory: bool
    enforces_compute: bool
    detect: Callable[[Device, Machine], str]
    """Why it does not work on this device and machine; empty where it does. A few looks at files."""
    launch: Callable[[Device, Share, Machine], Launch | None]
    """How a task is started on a share; None where it cannot give that share (no partition of that size)."""
    source: str
    """Where it is documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """What holds a task to its share of a device."""

    mechanism: str
    """`FractionEnforcer.name`."""
    memory: bool
    """Whether it cannot take more memory."""
    compute: bool
    """Whether it cannot take more of the computing."""
    launch: Launch
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Mechanism -> why it was not taken."""

    @property
    def is_logical(self) -> bool:
        """Whether nothing holds it: the scheduler's books are the only limit."""
        return self.mechanism == LOGICAL

    def as_json(self) -> JsonObject:
        """For plans and `-o json`."""
        return {
            "mechanism": self.mechanism,
            "is_logical": self.is_logical,
            "enforces": {"memory": self.memory, "compute": self.compute},
            "environment": dict(self.launch.environment),
            "partition": self.launch.partition or None,
            "rejected": dict(self.rejected),
        }

    def __str__(self) -> str:
        held = [what for what, is_held in (("memory", self.memory), ("compute", self.compute)) if is_held]
        return f"{self.mechanism} (enforces {' and '.join(held)})" if held else f"{self.mechanism} (nothing enforces it)"
