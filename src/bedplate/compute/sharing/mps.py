"""MPS of NVIDIA: a daemon through which processes share a GPU, with a limit of threads and of memory for each."""

from __future__ import annotations

from bedplate.compute.sharing.base import FractionEnforcer, Launch, Machine, Share
from bedplate.core.devices import Device

_DIRECTORY_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY"
_DEFAULT_DIRECTORY = "/tmp/nvidia-mps"  # noqa: S108 (NVIDIA's own default)


def _detect(device: Device, machine: Machine) -> str:
    control = machine.root / _directory(machine).lstrip("/") / "control"
    return "" if control.exists() else f"the MPS daemon does not run: no {control} (nvidia-cuda-mps-control -d)"


def _launch(device: Device, share: Share, machine: Machine) -> Launch | None:
    return Launch(
        environment={
            _DIRECTORY_VARIABLE: _directory(machine),
            "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(max(1, round(100 * share.frac))),
            # The task sees one device, which is number 0 to it.
            "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": f"0={share.memory_bytes // 2**20}M",
        }
    )


def _directory(machine: Machine) -> str:
    return machine.environment.get(_DIRECTORY_VARIABLE) or _DEFAULT_DIRECTORY


MPS = FractionEnforcer(
    name="mps",
    vendors=("nvidia",),
    enforces_memory=True,
    enforces_compute=True,
    detect=_detect,
    launch=_launch,
    source="docs.nvidia.com/deploy/mps: environment variables",
)
