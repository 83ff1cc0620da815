"""Hygon DCU: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="hygon", tools=("hy-smi",), visibility_variable="HIP_VISIBLE_DEVICES")
