"""Intel Data Center GPU: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="intel", tools=("xpu-smi",), visibility_variable="ZE_AFFINITY_MASK")
