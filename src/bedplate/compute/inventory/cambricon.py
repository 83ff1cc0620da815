"""Cambricon MLUs, by `cnmon`: the JSON that `cnmon info … -j` writes to cnmon_info.json, and the table that it prints.

Devices are named `mlu:N`. The JSON has ids, memory, temperature and utilisation; the table power and ECC errors. Sources:
gpustack's reader of the JSON (CnmonInfo, CardNum, PhysicalMemUsage in MiB, Utilization.MLUAverage, Temperature.Chip, PCI),
and tables in public installation guides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bedplate.compute.inventory.accelerator import accelerator, counted_errors, unless_silent
from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.text.boxes import BoxedDevice, read_boxes
from bedplate.compute.inventory.text.documents import at, json_text, read_json
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceUsage, HealthState

_NAME_CELL = re.compile(r"(\d+)\s+\S+\s+(MLU\S*|\S+)(?:\s+v[\d.]+)?")
"""`0     /   MLU370-X8    v1.1.6`: card, virtual function, name, firmware."""


def read_cnmon(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from the JSON, the table, or both.

    Raises:
        ConfigurationError: Not JSON, no card, a table that is cut off; with the line.
    """
    found: dict[str, Device] = {}
    for output in outputs.get("json", ()):
        document = read_json(output)
        listed = at(document, "CnmonInfo")
        if not isinstance(listed, list) or not listed:
            raise output.refusal("it lists no card", expected="CnmonInfo: [{CardNum: 0, …}]")
        found |= {device.id: device for device in (_from_json(vendor, output, card) for card in listed)}
    for output in outputs.get("table", ()):
        for boxed in read_boxes(output, _first_cell):
            device = _from_table(vendor, boxed)
            found[device.id] = _joined(found[device.id], device) if device.id in found else device
    source = next(iter(next(iter(outputs.values()))))
    return unless_silent(found.values(), source, next_step="cnmon info -e -m -u -j")


def _from_json(vendor: Vendor, output: ToolOutput, card: Mapping[str, Any]) -> Device:
    index = required_whole(card.get("CardNum"), output, None, "CardNum")
    memory_bytes = size_bytes(at(card, "PhysicalMemUsage", "Total"), output, None, "PhysicalMemUsage.Total", "MiB")
    busy = at(card, "Utilization", "MLUAverage")
    return accelerator(
        vendor,
        index,
        model=str(card.get("ProductName") or "MLU"),
        memory_bytes=memory_bytes,
        address=DeviceAddress(
            pci_bus_id=_bus(card.get("PCI")),
            uuid=_word(card.get("UUID")),
            serial=_word(card.get("SN")),
            device_files=(f"/dev/cambricon_dev{index}",),
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(busy, output, None, "Utilization.MLUAverage"),
            memory_used_bytes=size_bytes(at(card, "PhysicalMemUsage", "Used"), output, None, "PhysicalMemUsage.Used", "MiB"),
            temperature_c=number(at(card, "Temperature", "Chip"), output, None, "Temperature.Chip", ("C",)),
        ),
    )


def _bus(pci: Any) -> str:
    """`{"DomainID": "0000", "Bus": "39", "Device": "00", "Function": "0"}`, in hexadecimal -> `0000:39:00.0`."""
    parts = [at(pci, key) for key in ("DomainID", "Bus", "Device", "Function")]
    if any(is_nothing(part) for part in parts):
        return ""
    domain, bus, device, function = (str(part).lower().removeprefix("0x") for part in parts)
    return f"{domain:0>4}:{bus:0>2}:{device:0>2}.{function}"


def _word(value: Any) -> str:
    return "" if is_nothing(value) else str(value)


def _first_cell(cell: str) -> tuple[int, str] | None:
    match = _NAME_CELL.fullmatch(cell)
    return None if match is None else (int(match[1]), match[2])


def _from_table(vendor: Vendor, boxed: BoxedDevice) -> Device:
    errors = boxed.cells[0][-1].split()[-1]  # `0%                  0`: utilisation and ECC errors
    return accelerator(
        vendor,
        boxed.index,
        model=boxed.name,
        memory_bytes=boxed.memory_total_bytes,
        health=counted_errors(vendor, "ECC", int(errors), "ECC errors") if errors.isdigit() else DeviceHealth(),
        address=DeviceAddress(pci_bus_id=boxed.pci_bus_id, device_files=(f"/dev/cambricon_dev{boxed.index}",)),
        usage=boxed.usage,
    )


def _joined(device: Device, table: Device) -> Device:
    """What the JSON says, with power and health of the table."""
    usage = replace(device.usage, power_w=table.usage.power_w, power_limit_w=table.usage.power_limit_w)
    address = replace(device.address, pci_bus_id=device.address.pci_bus_id or table.address.pci_bus_id)
    return replace(device, usage=usage, health=table.health, address=address)


CNMON = ToolReader(
    tool="cnmon",
    other_paths=("/usr/local/neuware/bin/cnmon",),
    forms=(
        Form(
            name="json",
            command=("info", "-e", "-m", "-u", "-j"),
            matches=lambda text: '"CnmonInfo"' in json_text(text),
            written_file="cnmon_info.json",
        ),
        Form(name="table", command=(), matches=lambda text: re.search(r"^\|\s*CNMON\s", text, re.MULTILINE) is not None),
    ),
    read=read_cnmon,
)

VENDOR = Vendor(
    name="cambricon",
    title="Cambricon MLU",
    device_prefix="mlu",
    device_kind="npu",
    probe="bedplate.compute.inventory.cambricon:probe",
    device_files=("dev/cambricon_dev*",),
    tools=("cnmon",),
    readers=(CNMON,),
    visibility_variable="MLU_VISIBLE_DEVICES",
    health_codes={
        "ECC": HealthCode(
            state=HealthState.DEGRADED, meaning="ECC errors", next_step="see cnmon info -e; reset the card, then test it"
        ),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
