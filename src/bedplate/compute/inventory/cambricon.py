"""Cambricon MLU: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(
    name="cambricon",
    device_files=("dev/cambricon_dev*",),
    tools=("cnmon",),
    visibility_variable="MLU_VISIBLE_DEVICES",
)
