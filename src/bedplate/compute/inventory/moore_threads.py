"""Moore Threads: recognised by its tools; there is no probe yet."""

from __future__ import annotations

from bedplate.compute.inventory.base import Vendor

VENDOR = Vendor(
    name="moore-threads",
    device_files=("dev/mtgpu.[0-9]*",),
    tools=("mthreads-gmi",),
    visibility_variable="MUSA_VISIBLE_DEVICES",
)
