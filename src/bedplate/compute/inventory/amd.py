"""AMD Instinct and Radeon: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="amd", tools=("amd-smi", "rocm-smi"), visibility_variable="HIP_VISIBLE_DEVICES")
