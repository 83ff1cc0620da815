"""Iluvatar CoreX: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(
    name="iluvatar",
    device_files=("dev/iluvatar[0-9]*",),
    tools=("ixsmi",),
    visibility_variable="CUDA_VISIBLE_DEVICES",
)
