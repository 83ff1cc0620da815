"""HAMi-core: a library before CUDA's in a process that refuses allocations beyond a limit, and pauses launches."""

from __future__ import annotations

from pathlib import Path

from bedplate.compute.sharing.base import FractionEnforcer, Launch, Machine, Share
from bedplate.core.devices import Device

LIBRARY_VARIABLE = "BEDPLATE_LIBVGPU"
"""Where `libvgpu.so` is, if not where HAMi installs it."""
_INSTALLED = "usr/local/vgpu/libvgpu.so"


def _library(machine: Machine) -> Path:
    named = machine.environment.get(LIBRARY_VARIABLE, "")
    return machine.root / (named.lstrip("/") or _INSTALLED)


def _detect(device: Device, machine: Machine) -> str:
    library = _library(machine)
    return "" if library.is_file() else f"no {library} ({LIBRARY_VARIABLE} names another place)"


def _launch(device: Device, share: Share, machine: Machine) -> Launch | None:
    library = "/" + str(_library(machine).relative_to(machine.root))
    loaded = [library, *filter(None, [machine.environment.get("LD_PRELOAD", "")])]
    limits = {"CUDA_DEVICE_MEMORY_LIMIT": f"{share.memory_bytes // 2**20}m"}
    if share.frac < 1:
        limits["CUDA_DEVICE_SM_LIMIT"] = str(max(1, round(100 * share.frac)))
    return Launch(environment={"LD_PRELOAD": ":".join(loaded), **limits})


HAMI_CORE = FractionEnforcer(
    name="hami-core",
    vendors=("nvidia",),
    enforces_memory=True,
    enforces_compute=True,
    detect=_detect,
    launch=_launch,
    source="github.com/Project-HAMi/HAMi-core, README",
)
