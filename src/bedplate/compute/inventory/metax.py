"""MetaX: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="metax", tools=("mx-smi",))
