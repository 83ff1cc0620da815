"""What nvidia-smi says of a GPU that does not answer: words in the place of values, and a line in the place of a row.

    1, [GPU is lost], [GPU is lost], [GPU is lost]
    Unable to determine the device handle for GPU0000:BA:00.0: Unknown Error

Such a GPU is listed as failed, so that the others are found and people see which one it is. Source: outputs in reports to
public exporters (dcgm-exporter #604, nvidia_gpu_exporter #393).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, coded_health
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device, DeviceAddress

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

LOST = "GPU is lost"
_CODES = {word.lower(): word for word in (LOST, "GPU requires reset", "ERR!")}
_LINE = re.compile(
    r"^[ \t]*Unable to determine the device handle for GPU\s*([0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f.]+):.*$", re.MULTILINE
)


def codes_in(values: Iterable[str | None]) -> tuple[str, ...]:
    """Keys of the vendor's health codes that stand in the place of values."""
    words = ((value or "").strip().strip("[]").strip().lower() for value in values)
    return tuple(dict.fromkeys(_CODES[word] for word in words if word in _CODES))


def without_lost_lines(text: str) -> str:
    """The text without lines about GPUs that are lost; lines keep their numbers."""
    return _LINE.sub("", text)


def lost_gpus(vendor: Vendor, outputs: Iterable[ToolOutput]) -> dict[str, Device]:
    """GPUs that only a line names, by id: their bus id stands for the number that nobody knows."""
    found: dict[str, Device] = {}
    for output in outputs:
        for match in _LINE.finditer(output.text):
            bus = pci_bus_id(match[1])
            device = accelerator(
                vendor,
                0,
                model="",
                memory_bytes=None,
                health=coded_health(vendor, [LOST]),
                address=DeviceAddress(pci_bus_id=bus),
            )
            found[f"{vendor.device_prefix}:{bus}"] = replace(device, id=f"{vendor.device_prefix}:{bus}", visibility=None)
    return found
