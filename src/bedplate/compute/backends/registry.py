"""The backends that there are: ours, one line each, and those that people name in `BEDPLATE_BACKENDS`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

from bedplate.compute.backends import (
    amd,
    cambricon,
    cpu,
    emulated,
    huawei,
    hygon,
    iluvatar,
    intel,
    kunlunxin,
    metax,
    moore_threads,
    nvidia,
)
from bedplate.core.backends import Backend
from bedplate.core.devices import Device
from bedplate.core.errors import UsageError, check_known

OWN_VARIABLE = "BEDPLATE_BACKENDS"
"""Backends of a user's own: `package.module:NAME`, several by commas. One with the name of ours takes its place."""

BACKENDS: tuple[Backend, ...] = (
    cpu.BACKEND,
    nvidia.BACKEND,
    amd.BACKEND,
    huawei.BACKEND,
    hygon.BACKEND,
    cambricon.BACKEND,
    metax.BACKEND,
    moore_threads.BACKEND,
    iluvatar.BACKEND,
    kunlunxin.BACKEND,
    intel.BACKEND,
    intel.GAUDI,
    emulated.BACKEND,
)


def backends(environment: Mapping[str, str] = os.environ) -> Mapping[str, Backend]:
    """All backends by name.

    Raises:
        UsageError: `BEDPLATE_BACKENDS` names something that is no backend.
    """
    words = [word.strip() for word in environment.get(OWN_VARIABLE, "").split(",")]
    return {backend.name: backend for backend in (*BACKENDS, *map(_load, filter(None, words)))}


def backend(name: str, environment: Mapping[str, str] = os.environ) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: There is none.
    """
    known = backends(environment)
    check_known(name, known, "no backend", expected=", ".join(known), otherwise=f"name it in {OWN_VARIABLE}")
    return known[name]


def backend_for(device: Device, environment: Mapping[str, str] = os.environ) -> Backend | None:
    """The backend that programs a device; None where nobody has written one. The last one that fits counts.

    Raises:
        UsageError: `BEDPLATE_BACKENDS` names something that is no backend.
    """
    vendor = "cpu" if device.kind == "cpu" else device.vendor
    fitting = [
        item
        for item in backends(environment).values()
        if item.vendor == vendor and (not item.device_kinds or device.kind in item.device_kinds)
    ]
    return fitting[-1] if fitting else None


def _load(entry: str) -> Backend:
    module, _, name = entry.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{OWN_VARIABLE} names no backend", seen=f"{entry}: {error}", expected="package.module:NAME, importable"
        ) from error
    if not isinstance(found, Backend):
        raise UsageError(f"{OWN_VARIABLE} names no backend", seen=f"{entry}: a {type(found).__name__}", expected="a Backend")
    return found
