"""NVIDIA's management library, by its Python binding (nvidia-ml-py). Source: NVML API reference."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bedplate.compute.inventory.accelerator import accelerator, coded_health, counted_errors
from bedplate.compute.inventory.nvidia.architecture import features_of, generation_of
from bedplate.compute.inventory.nvidia.lost import LOST
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.core.devices import Device, DeviceAddress, DeviceLink, DevicePartition, DeviceUsage

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

NVLINK_BYTES_PER_S = {1: 20e9, 2: 25e9, 3: 25e9, 4: 25e9, 5: 50e9}
"""One direction of one link, by NVLink version."""
_SWITCH = 2
"""NVML_NVLINK_DEVICE_TYPE_SWITCH."""


def import_nvml() -> Any:
    """The binding, initialised; None where it or the driver's library is missing."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the binding's own errors are classes of the binding, which may not be there
        return None
    return pynvml


def read_nvml(vendor: Vendor, nvml: Any) -> tuple[Device, ...]:
    """Devices from an initialised NVML binding, which is shut down."""
    try:
        indices = range(nvml.nvmlDeviceGetCount())
        handles = [_asked(nvml, lambda index=index: nvml.nvmlDeviceGetHandleByIndex(index)) for index in indices]
        infos = [_bus_info(nvml, handle) for handle in handles]
        buses = {_bus(info): f"{vendor.device_prefix}:{index}" for index, info in enumerate(infos) if info is not None}
        return tuple(
            _lost_device(vendor, index) if infos[index] is None else _read_device(vendor, nvml, index, handles[index], buses)
            for index in indices
        )
    finally:
        nvml.nvmlShutdown()


def _bus_info(nvml: Any, handle: Any) -> Any:
    """None of a GPU that the driver counts and does not reach."""
    return None if handle is None else _asked(nvml, lambda: nvml.nvmlDeviceGetPciInfo(handle))


def _lost_device(vendor: Vendor, index: int) -> Device:
    """One that the driver counts and does not reach."""
    return accelerator(vendor, index, model="", memory_bytes=None, health=coded_health(vendor, [LOST]))


def _read_device(vendor: Vendor, nvml: Any, index: int, handle: Any, buses: Mapping[str, str]) -> Device:
    capability = ".".join(map(str, _asked(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle)) or ()))
    memory = _asked(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))  # a GPU that shares the host's does not say
    errors = _asked(
        nvml,
        lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC),
    )
    uuid = _text(_asked(nvml, lambda: nvml.nvmlDeviceGetUUID(handle)) or "")
    device = accelerator(
        vendor,
        index,
        model=_text(_asked(nvml, lambda: nvml.nvmlDeviceGetName(handle)) or "").removeprefix("NVIDIA "),
        memory_bytes=None if memory is None else int(memory.total),
        word=uuid or None,
        generation=generation_of(capability) if capability else "",
        features=features_of(vendor, capability) if capability else (),
        health=counted_errors(vendor, "Xid 48", errors, "uncorrectable memory errors since the last reset"),
        address=_address(vendor, nvml, handle, uuid),
        usage=_usage(nvml, handle, memory),
    )
    links, partitions = _links(nvml, handle, buses), _partitions(nvml, handle)
    return replace(device, cores=_near_cores(nvml, handle), links=links, partitions=partitions)


def _address(vendor: Vendor, nvml: Any, handle: Any, uuid: str) -> DeviceAddress:
    minor = _asked(nvml, lambda: nvml.nvmlDeviceGetMinorNumber(handle))
    return DeviceAddress(
        pci_bus_id=pci_bus_id(_bus(nvml.nvmlDeviceGetPciInfo(handle))),
        uuid=uuid,
        serial=_text(_asked(nvml, lambda: nvml.nvmlDeviceGetSerial(handle)) or ""),
        numa_node=_asked(nvml, lambda: nvml.nvmlDeviceGetNumaNodeId(handle)),
        device_files=() if minor is None else (f"/dev/nvidia{minor}",),
        cdi=f"{vendor.cdi_kind}={uuid}" if uuid else "",
    )


def _usage(nvml: Any, handle: Any, memory: Any) -> DeviceUsage:
    rates = _asked(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    celsius = _asked(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    power_mw = _asked(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    limit_mw = _asked(nvml, lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    return DeviceUsage(
        utilisation_frac=None if rates is None else rates.gpu / 100,
        memory_used_bytes=None if memory is None else _asked(nvml, lambda: int(memory.used)),
        temperature_c=None if celsius is None else float(celsius),
        power_w=None if power_mw is None else power_mw / 1000,
        power_limit_w=None if limit_mw is None else limit_mw / 1000,
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
    each = NVLINK_BYTES_PER_S.get(version or 0)
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


def _asked(nvml: Any, call: Any) -> Any:
    """What NVML answers, or None where this GPU or driver does not support the question."""
    try:
        return call()
    except (nvml.NVMLError, AttributeError):  # the binding is older than the question
        return None


def _bus(info: Any) -> str:
    return _text(info.busId).lower()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
