"""MetaX: recognised by its tools; a probe is still to be written."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(name="metax", tools=("mx-smi",))
