"""Shares of processors: control groups, which the engine has the kernel enforce (`core/control_groups.py`)."""

from __future__ import annotations

from bedplate.compute.sharing.base import FractionEnforcer, Launch, Machine, Share
from bedplate.core.control_groups import MIN_CPU_MILLI, power
from bedplate.core.devices import Device


def _detect(device: Device, machine: Machine) -> str:
    return power(machine.root).why_not


def _launch(device: Device, share: Share, machine: Machine) -> Launch | None:
    cpu_milli = max(MIN_CPU_MILLI, round(1000 * share.frac * len(device.cores)))
    return Launch(cpu_milli=cpu_milli, memory_bytes=share.memory_bytes)


CGROUP = FractionEnforcer(
    name="cgroup",
    vendors=("cpu", "emulated"),
    enforces_memory=True,
    enforces_compute=True,
    detect=_detect,
    launch=_launch,
    source="docs.kernel.org/admin-guide/cgroup-v2.html",
)
