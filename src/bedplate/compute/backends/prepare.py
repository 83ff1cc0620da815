"""What a process on each device of a node needs, written into the device: so an engine needs to know no vendor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bedplate.compute.backends.registry import backend_for
from bedplate.compute.capabilities.capability import PRECISIONS
from bedplate.core.backends import Backend
from bedplate.core.devices import Device, DeviceRuntime


def prepared(devices: Iterable[Device]) -> tuple[Device, ...]:
    """The devices with their `runtime`; one for which there is no backend has none, by the name of an empty text.

    Raises:
        UsageError: `BEDPLATE_BACKENDS` names something that is no backend.
    """
    return tuple(replace(device, runtime=_runtime(device)) for device in devices)


def precisions_of(device: Device, backend: Backend) -> tuple[str, ...]:
    """What a device computes in: what all of its backend's do, what its probe found, and what is published of its model."""
    if device.kind == "cpu":
        return backend.precisions
    from bedplate.compute.capabilities.table import published  # reads ten files: only where there are accelerators

    capability = published().find(device.model, device.vendor, device.memory_bytes)
    known = {*backend.precisions, *device.features, *(capability.precisions if capability else ())}
    return tuple(name for name in PRECISIONS if name in known)


def _runtime(device: Device) -> DeviceRuntime:
    backend = backend_for(device)
    if backend is None:
        return DeviceRuntime(backend="")
    return DeviceRuntime(backend=backend.name, environment=backend.environment, precisions=precisions_of(device, backend))
