"""Emulated devices: the machine's own cores as accelerators of a second kind, where people ask for them.

`BEDPLATE_EMULATED_DEVICES=2` gives this machine two. They let a pool of several kinds of devices be tried, with real processes,
on a machine that has none; `compute/backends/emulated.py` says what is different about them.
"""

from __future__ import annotations

import os
from pathlib import Path

from bedplate.compute.inventory.base import SupportLevel, Vendor
from bedplate.compute.inventory.cgroups import memory_limit_bytes
from bedplate.core.devices import Device, DeviceHealth, HealthState, Visibility

COUNT_VARIABLE = "BEDPLATE_EMULATED_DEVICES"
MODEL = "Emulated CPU"

VENDOR = Vendor(
    name="emulated",
    device_prefix="emulated",
    device_kind="emulated",
    support=SupportLevel.LAUNCHED,
    probe="bedplate.compute.inventory.emulated:EmulatedProbe",
    reads_files_only=True,
    device_files=("proc/meminfo",),
    visibility_variable="EMULATED_VISIBLE_DEVICES",
)


class EmulatedProbe:
    """As many devices as the variable says."""

    def is_present(self) -> bool:
        """Whether the variable is set, and not to nothing."""
        return os.environ.get(COUNT_VARIABLE, "0") not in ("", "0")

    def devices(self) -> tuple[Device, ...]:
        """The devices; they share the machine's memory.

        Raises:
            ValueError: The variable is no number.
        """
        text = os.environ[COUNT_VARIABLE]
        if not text.isdecimal():
            raise ValueError(f"{COUNT_VARIABLE} is '{text}'; expected a number of devices")
        memory_bytes = _memory_bytes() // int(text)
        return tuple(
            Device(
                id=f"emulated:{number}",
                kind="emulated",
                vendor=VENDOR.name,
                model=MODEL,
                memory_bytes=memory_bytes,
                health=DeviceHealth(state=HealthState.OK),
                visibility=Visibility(variable=VENDOR.visibility_variable, word=str(number)),
            )
            for number in range(int(text))
        )


def _memory_bytes() -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = 1024 * int(lines["MemTotal"].split()[0])
    return min(total, memory_limit_bytes() or total)
