"""`compute inventory`: the devices of this machine, as the system describes them, or those in a saved output of a tool."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bedplate.app.compute.device_figures import device_json
from bedplate.compute.inventory import ProbeTrouble, take_inventory
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device
from bedplate.core.errors import NotFoundError, UsageError
from bedplate.core.json import JsonObject
from bedplate.core.settings import settings
from bedplate.core.units import format_bytes

STANDARD_INPUT = "-"


@settings
class Settings:
    """What `bedplate compute inventory` takes."""

    files: tuple[str, ...] = ()
    """A saved output of a vendor's tool, read instead of asking this machine; `-` is standard input. Several, where the
    tool's facts come from several commands."""
    tool: str = ""
    """The tool that printed it: npu-smi, nvidia-smi, amd-smi and so on. Needed only where the text does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryReport:
    """Devices, and what could not be read."""

    devices: tuple[Device, ...]
    troubles: tuple[ProbeTrouble, ...] = ()
    files: tuple[str, ...] = field(default=())
    """Where they were read from; none: this machine."""

    def as_json(self) -> JsonObject:
        """What `compute inventory -o json` prints. Readings of a saved output are `replayed`."""
        return {
            "devices": [device_json(device) for device in self.devices],
            "troubles": [{"probe": item.probe, "kind": item.kind, "message": item.message} for item in self.troubles],
            "provenance": "replayed" if self.files else "measured",
            "files": list(self.files),
        }


def inventory(settings: Settings) -> InventoryReport:
    """The devices asked for.

    Raises:
        NotFoundError: No such file.
        UsageError: An unknown tool, one without a file, or a file that is not of it.
        ConfigurationError: A file that is cut off or cannot be understood, with its line.
    """
    if not settings.files:
        if settings.tool:
            raise UsageError("a tool without an output of it", seen=f"--tool {settings.tool}", expected="--from FILE beside it")
        found = take_inventory()
        return InventoryReport(devices=found.devices, troubles=found.troubles)
    from bedplate.compute.inventory.tools.saved import read_saved

    outputs = [_read(name) for name in settings.files]
    return InventoryReport(devices=read_saved(outputs, settings.tool or None), files=settings.files)


def _read(name: str) -> ToolOutput:
    if name == STANDARD_INPUT:
        return ToolOutput(text=sys.stdin.read(), source="standard input")
    try:
        return ToolOutput(text=Path(name).read_text(errors="replace"), source=name)
    except FileNotFoundError as error:
        next_step = "save the output of the tool first, or use - for standard input"
        raise NotFoundError("there is no such file", seen=name, next_step=next_step) from error
    except OSError as error:
        raise UsageError("this cannot be read", seen=f"{name}: {error.strerror}", expected="a file, a pipe, or -") from error


HEADINGS = (
    *("device", "kind", "vendor", "model", "memory used/total", "busy", "temperature", "power", "health", "links"),
    *("cores", "features"),
)


def rows_of_devices(devices: Sequence[Device]) -> list[tuple[str | int | None, ...]]:
    """The rows that people read, under `HEADINGS`; a blank where nobody says."""
    return [
        (
            device.id,
            device.kind,
            device.vendor,
            device.model,
            _memory(device),
            None if device.usage.utilisation_frac is None else f"{device.usage.utilisation_frac:.0%}",
            None if device.usage.temperature_c is None else f"{device.usage.temperature_c:g} °C",
            _power(device),
            " ".join((device.health.state.value, *device.health.codes)) if device.kind != "cpu" else None,
            _links(device),
            len(device.cores) or None,
            " ".join(device.features),
        )
        for device in devices
    ]


def _memory(device: Device) -> str:
    used, total = device.usage.memory_used_bytes, format_bytes(device.memory_bytes)
    return total if used is None else f"{format_bytes(used)} / {total}"


def _power(device: Device) -> str | None:
    draw, limit = device.usage.power_w, device.usage.power_limit_w
    if draw is None:
        return None
    return f"{draw:.0f} W" if limit is None else f"{draw:.0f} / {limit:.0f} W"


def _links(device: Device) -> str:
    """`nvlink to 7, 18 each`: kinds and how many devices they lead to."""
    kinds: dict[str, list[int]] = {}
    for link in device.links:
        kinds.setdefault(link.kind, []).append(link.count)
    texts = (f"{kind} to {len(counts)}" + (f", {counts[0]} each" if counts[0] > 1 else "") for kind, counts in kinds.items())
    return "; ".join(texts)
