"""NVIDIA GPUs: by NVML where its Python binding is installed, else by what `nvidia-smi` prints.

Devices are named `cuda:N` by the driver's index and made visible by UUID, which means the same whatever CUDA_VISIBLE_DEVICES
this process was started with. Sources: NVML API reference; CUDA programming guide, environment variables; "Xid errors"
catalogue.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bedplate.compute.inventory.base import HealthCode, Vendor
from bedplate.compute.inventory.nvidia.nvidia_smi import NVIDIA_SMI
from bedplate.compute.inventory.nvidia.nvml import import_nvml, read_nvml
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.core.devices import Device, HealthState, Visibility

_RESET = "drain the node and reset the GPU (nvidia-smi -r); replace it if it returns"
_REPLACE = "take it out of service and replace it"
_PROGRAM = "check the program first: the GPU is rarely at fault"

VENDOR = Vendor(
    name="nvidia",
    title="NVIDIA",
    device_prefix="cuda",
    probe="bedplate.compute.inventory.nvidia:NvidiaProbe",
    device_files=("dev/nvidia[0-9]*",),
    tools=("nvidia-smi",),
    readers=(NVIDIA_SMI,),
    library="pynvml",
    visibility_variable="CUDA_VISIBLE_DEVICES",
    cdi_kind="nvidia.com/gpu",
    precisions={
        "7.0": ("fp16",),
        "7.5": ("fp16", "int8"),
        "8.0": ("fp16", "bf16", "tf32", "int8"),
        "8.9": ("fp16", "bf16", "tf32", "int8", "fp8"),
        "9.0": ("fp16", "bf16", "tf32", "int8", "fp8"),
        "10.0": ("fp16", "bf16", "tf32", "int8", "fp8", "fp4"),
    },
    health_codes={
        "Xid 13": HealthCode(state=HealthState.OK, meaning="the program faulted on the GPU", next_step=_PROGRAM),
        "Xid 31": HealthCode(state=HealthState.OK, meaning="the program accessed an invalid address", next_step=_PROGRAM),
        "Xid 43": HealthCode(state=HealthState.OK, meaning="the program stopped on the GPU", next_step=_PROGRAM),
        "Xid 48": HealthCode(state=HealthState.FAILED, meaning="uncorrectable memory error", next_step=_RESET),
        "Xid 63": HealthCode(state=HealthState.DEGRADED, meaning="a memory row is pending a remap", next_step=_RESET),
        "Xid 64": HealthCode(state=HealthState.FAILED, meaning="no spare memory row is left", next_step=_REPLACE),
        "Xid 74": HealthCode(state=HealthState.DEGRADED, meaning="NVLink error", next_step="check the link, then reset"),
        "Xid 79": HealthCode(state=HealthState.FAILED, meaning="the GPU fell off the bus", next_step="power-cycle the node"),
        "Xid 94": HealthCode(state=HealthState.DEGRADED, meaning="contained memory error", next_step=_RESET),
        "Xid 95": HealthCode(state=HealthState.FAILED, meaning="uncontained memory error", next_step=_RESET),
        "GPU is lost": HealthCode(
            state=HealthState.FAILED,
            meaning="the driver does not reach it",
            next_step="power-cycle the node",
        ),
        "GPU requires reset": HealthCode(state=HealthState.FAILED, meaning="it stopped after an error", next_step=_RESET),
        "ERR!": HealthCode(state=HealthState.FAILED, meaning="the driver cannot read what it always can", next_step=_RESET),
        "Recovery Action Reset": HealthCode(state=HealthState.FAILED, meaning="the driver asks for a reset", next_step=_RESET),
        "Recovery Action Reboot": HealthCode(
            state=HealthState.FAILED, meaning="the driver asks for a reboot", next_step="drain the node and reboot it"
        ),
        "Recovery Action Drain P2P": HealthCode(
            state=HealthState.DEGRADED, meaning="its links are down", next_step="let jobs over several GPUs end, then reset it"
        ),
        "Recovery Action Drain and Reset": HealthCode(
            state=HealthState.DEGRADED, meaning="the driver asks for a reset once its jobs have ended", next_step=_RESET
        ),
        "Xid 119": HealthCode(state=HealthState.FAILED, meaning="the GPU's system processor does not answer", next_step=_RESET),
    },
)


class NvidiaProbe:
    """GPUs of this machine that this process may use."""

    def __init__(self) -> None:
        self._tools = ToolProbe(VENDOR)
        self.troubles = self._tools.troubles

    def is_present(self) -> bool:
        """Whether NVML or nvidia-smi is available."""
        return shutil.which("nvidia-smi") is not None or import_nvml() is not None

    def devices(self) -> tuple[Device, ...]:
        """GPUs in NVML's order, less those that CUDA_VISIBLE_DEVICES hides from this process."""
        nvml = import_nvml()
        found = self._tools.devices() if nvml is None else read_nvml(VENDOR, nvml)
        return visible(found, os.environ.get(VENDOR.visibility_variable))


def visible(devices: Iterable[Device], wanted: str | None) -> tuple[Device, ...]:
    """Those that a value of CUDA_VISIBLE_DEVICES shows: indices or beginnings of UUIDs, up to the first that is unknown.

    One that is named twice shows none, as in CUDA. A slice (`MIG-…`) shows its GPU, with the slice alone and its memory.
    """
    devices = tuple(devices)
    if wanted is None:
        return devices
    kept: list[Device] = []
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        matching = [device for device in devices if device.id == f"cuda:{word}" or device.address.uuid.startswith(word)]
        if word.startswith("MIG-"):
            matching = [slice_ for device in devices for slice_ in _slices(device, word)]
        if len(matching) != 1:
            break
        if matching[0].id in [device.id for device in kept]:
            return ()
        kept += matching
    return tuple(kept)


def _slices(device: Device, word: str) -> Iterator[Device]:
    """The GPU as who has that slice of it sees it."""
    for item in device.partitions:
        if item.id.startswith(word):
            visibility = Visibility(variable=VENDOR.visibility_variable, word=item.id)
            yield replace(device, memory_bytes=item.memory_bytes, partitions=(item,), visibility=visibility)
