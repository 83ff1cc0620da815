"""NVIDIA GPUs: by NVML where its Python binding is installed, else by what `nvidia-smi` prints.

Devices are named `cuda:N` by NVML's index and made visible by UUID, which means the same whatever CUDA_VISIBLE_DEVICES this
process was started with. Sources: NVML API reference; CUDA programming guide, environment variables; "Xid errors" catalogue.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from bedplate.compute.inventory.base import HealthCode, Vendor
from bedplate.core.devices import Device, DeviceHealth, DeviceLink, DevicePartition, HealthState, Visibility

_RESET = "drain the node and reset the GPU (nvidia-smi -r); replace it if it returns"
_REPLACE = "take it out of service and replace it"
_PROGRAM = "check the program first: the GPU is rarely at fault"

VENDOR = Vendor(
    name="nvidia",
    probe="bedplate.compute.inventory.nvidia:NvidiaProbe",
    device_files=("dev/nvidia[0-9]*",),
    tools=("nvidia-smi",),
    visibility_variable="CUDA_VISIBLE_DEVICES",
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
        "Xid 119": HealthCode(state=HealthState.FAILED, meaning="the GPU's system processor does not answer", next_step=_RESET),
    },
)

_NVLINK_BYTES_PER_S = {1: 20e9, 2: 25e9, 3: 25e9, 4: 25e9, 5: 50e9}
"""One direction of one link, by NVLink version."""
_SWITCH = 2
"""NVML_NVLINK_DEVICE_TYPE_SWITCH."""
_SMI_FIELDS = ("index", "uuid", "name", "memory.total", "compute_cap", "ecc.errors.uncorrected.volatile.total")


class NvidiaProbe:
    """GPUs of this machine that this process may use."""

    def is_present(self) -> bool:
        """Whether NVML or nvidia-smi is available."""
        return shutil.which("nvidia-smi") is not None or _import_nvml() is not None

    def devices(self) -> tuple[Device, ...]:
        """GPUs in NVML's order, less those that CUDA_VISIBLE_DEVICES hides from this process."""
        nvml = _import_nvml()
        found = read_smi(_run_smi()) if nvml is None else read_nvml(nvml)
        return visible(found, os.environ.get(VENDOR.visibility_variable))


def visible(devices: Iterable[Device], wanted: str | None) -> tuple[Device, ...]:
    """Those that a value of CUDA_VISIBLE_DEVICES shows: indices or beginnings of UUIDs, up to the first that is unknown."""
    devices = tuple(devices)
    if wanted is None:
        return devices
    kept: list[Device] = []
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        matching = [device for device in devices if device.id == f"cuda:{word}" or _uuid(device).startswith(word)]
        if len(matching) != 1:
            break
        kept += matching
    return tuple(kept)


def precisions_of(compute_capability: str) -> tuple[str, ...]:
    """What the tensor cores of an architecture compute with; nothing before Volta."""
    version = _version(compute_capability)
    known = [name for name in VENDOR.precisions if _version(name) <= version]
    return VENDOR.precisions[max(known, key=_version)] if known else ()


def read_smi(text: str) -> tuple[Device, ...]:
    """Devices from `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`.

    Raises:
        ValueError: It is something else, for example an error message.
    """
    devices = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(_SMI_FIELDS):
            raise ValueError(f"not a line of nvidia-smi: {row}")
        index, uuid, name, memory_mib, capability, errors = row
        devices.append(
            Device(
                id=f"cuda:{int(index)}",
                kind="gpu",
                vendor=VENDOR.name,
                model=name.removeprefix("NVIDIA "),
                memory_bytes=int(memory_mib) * 2**20,
                features=(f"sm_{capability.replace('.', '')}", *precisions_of(capability)),
                health=_health(int(errors) if errors.isdigit() else None),
                visibility=Visibility(variable=VENDOR.visibility_variable, word=uuid),
            )
        )
    return tuple(devices)


def _run_smi() -> str:
    query = f"--query-gpu={','.join(_SMI_FIELDS)}"
    ended = subprocess.run(["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"nvidia-smi: {(ended.stdout or ended.stderr).strip()[:200]}")
    return ended.stdout


def _import_nvml() -> Any:
    """The binding, initialised; None where it or the driver's library is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the binding's own errors are classes of the binding, which may not be there
        return None
    return pynvml


def read_nvml(nvml: Any) -> tuple[Device, ...]:
    """Devices from an initialised NVML binding, which is shut down."""
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        buses = {_bus(nvml.nvmlDeviceGetPciInfo(handle)): f"cuda:{index}" for index, handle in enumerate(handles)}
        return tuple(_read_device(nvml, index, handle, buses) for index, handle in enumerate(handles))
    finally:
        nvml.nvmlShutdown()


def _read_device(nvml: Any, index: int, handle: Any, buses: Mapping[str, str]) -> Device:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    errors = _asked(
        nvml,
        lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC),
    )
    return Device(
        id=f"cuda:{index}",
        kind="gpu",
        vendor=VENDOR.name,
        model=_text(nvml.nvmlDeviceGetName(handle)).removeprefix("NVIDIA "),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        features=(f"sm_{major}{minor}", *precisions_of(f"{major}.{minor}")),
        cores=_near_cores(nvml, handle),
        health=_health(errors),
        links=_links(nvml, handle, buses),
        partitions=_partitions(nvml, handle),
        visibility=Visibility(variable=VENDOR.visibility_variable, word=_text(nvml.nvmlDeviceGetUUID(handle))),
    )


def _near_cores(nvml: Any, handle: Any) -> tuple[int, ...]:
    words = _asked(nvml, lambda: nvml.nvmlDeviceGetCpuAffinity(handle, -(-(os.cpu_count() or 1) // 64))) or ()
    return tuple(64 * number + bit for number, word in enumerate(words) for bit in range(64) if word >> bit & 1)


def _links(nvml: Any, handle: Any, buses: Mapping[str, str]) -> tuple[DeviceLink, ...]:
    """NVLinks by what they lead to: another GPU of the node, or the switch."""
    counts: dict[str, int] = {}
    version = None
    for number in range(nvml.NVML_NVLINK_MAX_LINKS):
        if not _asked(nvml, lambda number=number: nvml.nvmlDeviceGetNvLinkState(handle, number)):
            continue
        version = _asked(nvml, lambda number=number: nvml.nvmlDeviceGetNvLinkVersion(handle, number)) or version
        kind = _asked(nvml, lambda number=number: nvml.nvmlDeviceGetNvLinkRemoteDeviceType(handle, number))
        info = _asked(nvml, lambda number=number: nvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, number))
        to = "nvswitch" if kind == _SWITCH or info is None else buses.get(_bus(info), "nvswitch")
        counts[to] = counts.get(to, 0) + 1
    each = _NVLINK_BYTES_PER_S.get(version or 0)
    return tuple(
        DeviceLink(to=to, kind="nvlink", count=count, bandwidth_bytes_per_s=None if each is None else count * each)
        for to, count in counts.items()
    )


def _partitions(nvml: Any, handle: Any) -> tuple[DevicePartition, ...]:
    found = []
    for number in range(_asked(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0):
        slice_ = _asked(nvml, lambda number=number: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
        if slice_ is not None:
            profile = _text(nvml.nvmlDeviceGetName(slice_)).rpartition("MIG ")[2]
            memory_bytes = int(nvml.nvmlDeviceGetMemoryInfo(slice_).total)
            found.append(DevicePartition(id=_text(nvml.nvmlDeviceGetUUID(slice_)), profile=profile, memory_bytes=memory_bytes))
    return tuple(found)


def _health(uncorrected_errors: int | None) -> DeviceHealth:
    if uncorrected_errors is None:
        return DeviceHealth()
    if uncorrected_errors:
        finding = f"{uncorrected_errors} uncorrectable memory errors since the last reset (Xid 48)"
        return DeviceHealth(state=HealthState.FAILED, findings=(finding,))
    return DeviceHealth(state=HealthState.OK)


def _asked(nvml: Any, call: Any) -> Any:
    """What NVML answers, or None where this GPU or driver does not support the question."""
    try:
        return call()
    except (nvml.NVMLError, AttributeError):  # the binding is older than the question
        return None


def _uuid(device: Device) -> str:
    return device.visibility.word if device.visibility else ""


def _bus(info: Any) -> str:
    return _text(info.busId).lower()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
