"""Hardware slices that the driver has made: MIG of NVIDIA, vNPU of Huawei. A share becomes the smallest slice that holds it.

Nothing is cut here: an administrator makes slices, since making them needs an idle device and rights that a job has not.
"""

from __future__ import annotations

from bedplate.compute.sharing.base import FractionEnforcer, Launch, Machine, Share
from bedplate.core.devices import Device, DevicePartition


def _detect(device: Device, machine: Machine) -> str:
    return "" if _slices(device) else "the driver has cut no slices of this device"


def _launch(device: Device, share: Share, machine: Machine) -> Launch | None:
    slice_ = _smallest(device, share)
    if slice_ is None or device.visibility is None:
        return None
    return Launch(environment={device.visibility.variable: slice_.id}, partition=slice_.id)


def _smallest(device: Device, share: Share) -> DevicePartition | None:
    """By memory: a slice's share of the computing is that of its memory, give or take a slice."""
    wanted_bytes = max(share.memory_bytes, int(share.frac * device.memory_bytes * 0.8))  # slices lose some memory to the driver
    return min((item for item in _slices(device) if item.memory_bytes >= wanted_bytes), key=_size, default=None)


def _slices(device: Device) -> list[DevicePartition]:
    """What can be given to a task; other kinds of partitions (XCDs of a package, virtual functions) are not slices."""
    return [item for item in device.partitions if item.kind in ("mig", "vnpu")]


def _size(partition: DevicePartition) -> int:
    return partition.memory_bytes


MIG = FractionEnforcer(
    name="mig",
    vendors=("nvidia",),
    enforces_memory=True,
    enforces_compute=True,
    detect=_detect,
    launch=_launch,
    source="docs.nvidia.com/datacenter/tesla/mig-user-guide",
)
VNPU = FractionEnforcer(
    name="vnpu",
    vendors=("huawei",),
    enforces_memory=True,
    enforces_compute=True,
    detect=_detect,
    launch=_launch,
    source="hiascend.com: Ascend computing power segmentation (vNPU)",
)
