"""`nvidia-smi -q`: what `-q -x` says, as indented keys. Not asked for by the probe; people save it.

Source: outputs in the tests of gpud and in public exporters, drivers 418 to 550.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, coded_health
from bedplate.compute.inventory.nvidia.lost import codes_in
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.keyed import Entry, entries
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, size_bytes, whole
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceUsage

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

_HEADING = re.compile(r"GPU [0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_POWER = tuple(
    f"{section}.{key}" for section in ("GPU Power Readings", "Power Readings") for key in ("Power Draw", "Average Power Draw")
)
_LIMIT = ("GPU Power Readings.Current Power Limit", "Power Readings.Current Power Limit", "Power Readings.Enforced Power Limit")
_UNCORRECTED = re.compile(r"ECC Errors\.Volatile\.(?:.*Uncorrectable.*|Double Bit\.Total)")


def is_query_log(text: str) -> bool:
    """Whether it is such a text, whole or cut off."""
    return "NVSMI LOG" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    output: ToolOutput
    heading: str
    values: Mapping[str, Entry]

    def entry(self, *keys: str) -> Entry | None:
        found = (self.values[key] for key in keys if key in self.values)
        return next((entry for entry in found if not is_nothing(entry.value)), None)

    def text(self, *keys: str) -> str:
        entry = self.entry(*keys)
        return "" if entry is None else entry.value

    def number(self, unit: str, *keys: str) -> float | None:
        entry = self.entry(*keys)
        return None if entry is None else number(entry.value, self.output, entry.line, keys[0], (unit,))

    def size(self, key: str) -> int | None:
        entry = self.entry(key)
        return None if entry is None else size_bytes(entry.value, self.output, entry.line, key)


def read_query_log(vendor: Vendor, output: ToolOutput) -> tuple[Device, ...]:
    """The GPUs of the log, in its order, which is that of the driver.

    Raises:
        ConfigurationError: No GPU, or one that ends before its processes; with the line.
    """
    blocks: dict[str, dict[str, Entry]] = {}
    for entry in entries(output.lines):
        heading = next((word for word in entry.path if _HEADING.match(word)), None)
        if heading is not None:
            key = ".".join(entry.path[entry.path.index(heading) + 1 :])
            blocks.setdefault(heading, {}).setdefault(key, entry)
    if not blocks:
        raise output.refusal("it lists no GPU", expected="a block that begins with GPU and its bus id")
    last_line = max(entry.line for values in blocks.values() for entry in values.values())
    if not any(key.startswith("Processes") for key in list(blocks.values())[-1]):
        raise output.refusal(
            "the last block is cut off", last_line, seen="no Processes", expected="Processes, which ends a block"
        )
    return tuple(
        _device(vendor, _Block(output=output, heading=heading, values=values), index)
        for index, (heading, values) in enumerate(blocks.items())
    )


def _device(vendor: Vendor, block: _Block, index: int) -> Device:
    memory_bytes = block.size("FB Memory Usage.Total")
    uuid, minor, busy = block.text("GPU UUID"), block.text("Minor Number"), block.entry("Utilization.Gpu", "Utilization.GPU")
    return accelerator(
        vendor,
        index,
        model=block.text("Product Name").removeprefix("NVIDIA "),
        memory_bytes=memory_bytes,
        word=uuid or None,
        generation=block.text("Product Architecture"),
        health=_health(vendor, block),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(block.heading),
            uuid=uuid,
            serial=block.text("Serial Number"),
            device_files=(f"/dev/nvidia{minor}",) if minor.isdigit() else (),
            cdi=f"{vendor.cdi_kind}={uuid}" if uuid else "",
        ),
        usage=DeviceUsage(
            utilisation_frac=None if busy is None else fraction(busy.value, block.output, busy.line, "Utilization, Gpu"),
            memory_used_bytes=block.size("FB Memory Usage.Used"),
            temperature_c=block.number("C", "Temperature.GPU Current Temp"),
            power_w=block.number("W", *_POWER),
            power_limit_w=block.number("W", *_LIMIT),
        ),
    )


def _health(vendor: Vendor, block: _Block) -> DeviceHealth:
    counts = [
        whole(entry.value, block.output, entry.line, key) for key, entry in block.values.items() if _UNCORRECTED.fullmatch(key)
    ]
    known = [count for count in counts if count is not None]
    pending, failed = block.text("Remapped Rows.Pending"), block.text("Remapped Rows.Remapping Failure Occurred")
    codes = ["Xid 48"] * any(known) + ["Xid 63"] * (pending == "Yes") + ["Xid 64"] * (failed == "Yes")
    codes += codes_in(entry.value for entry in block.values.values())
    codes += [f"Recovery Action {action}" for action in [block.text("GPU Recovery Action")] if action]
    return coded_health(vendor, codes, is_asked=bool(known) or bool(pending))
