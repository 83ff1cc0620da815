"""The vendors that the platform knows; one line each."""

from __future__ import annotations

from bedplate.compute.inventory import (
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
from bedplate.compute.inventory.base import Vendor

VENDORS: tuple[Vendor, ...] = (
    cpu.VENDOR,
    nvidia.VENDOR,
    amd.VENDOR,
    cambricon.VENDOR,
    huawei.VENDOR,
    hygon.VENDOR,
    iluvatar.VENDOR,
    intel.VENDOR,
    kunlunxin.VENDOR,
    metax.VENDOR,
    moore_threads.VENDOR,
    emulated.VENDOR,
)
"""In the order in which their devices are listed."""
