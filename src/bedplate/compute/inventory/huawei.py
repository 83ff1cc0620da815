"""Huawei Ascend: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(
    name="huawei",
    device_files=("dev/davinci[0-9]*",),
    tools=("npu-smi",),
    visibility_variable="ASCEND_RT_VISIBLE_DEVICES",
)
