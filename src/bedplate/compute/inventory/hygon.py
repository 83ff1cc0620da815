"""Hygon DCU: recognised by its tools; a probe is still to be written."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="hygon", tools=("hy-smi",), visibility_variable="HIP_VISIBLE_DEVICES")
