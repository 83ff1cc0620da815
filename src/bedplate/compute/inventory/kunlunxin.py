"""Kunlunxin XPUs, by its `xpu-smi` (`xpu_smi` in older releases); Intel's tool has the same name and prints nothing alike.

Devices are named `kunlun:N` by the minor number of /dev/xpuN. Forms: `-q`, the table, the machine-readable line of `-m`, and
`topo -m`. The fields of `-m` stand in a fixed order: 0 bus, 2 device, 3 serial, 4 temperature, 17 and 18 memory used and
total in MiB (15 and 16 are the L3), 19 utilisation, 21 model; its power (8) is in W for P800 and in mW for K200, so power is
taken from the other forms only. Sources: a full `-q` output in the GPU plugin of ZStack, tables in PaddlePaddle's guides,
`-m` in tests of P800 deployments, `XL` links in public notes on P800 nodes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bedplate.compute.inventory.accelerator import accelerator, counted_errors
from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.text.boxes import BoxedDevice, pci_bus_id, read_boxes
from bedplate.compute.inventory.text.keyed import Entry, entries
from bedplate.compute.inventory.text.matrix import with_topology
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes, whole
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceLink, DeviceUsage, HealthState, Proximity

_NUM_FIELDS = 22
"""Fields of `-m` up to the model; later ones differ between releases."""


def read_xpu_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from any of the forms that list them, the fullest first, with the links of the topology.

    Raises:
        ConfigurationError: A form that is cut off, an XPU whose memory is missing, a topology alone; with the line.
    """
    found: dict[str, Device] = {}
    for output in outputs.get("query", ()):
        found |= {device.id: device for device in _read_query(vendor, output)}
    for output in outputs.get("table", ()):
        for boxed in read_boxes(output):
            device = _boxed(vendor, boxed)
            found.setdefault(device.id, device)
    for output in outputs.get("machine", ()):
        for device in _read_machine(vendor, output):
            known = found.get(device.id)
            found[device.id] = device if known is None else _with_serial(known, device)
    if not found:
        raise outputs["topology"][0].refusal("a topology alone does not say what the XPUs are", next_step="add: xpu-smi -q")
    for output in outputs.get("topology", ()):
        by_name = {f"XPU{device_id.rpartition(':')[2]}": device for device_id, device in found.items()}
        found = {device.id: device for device in with_topology(output, by_name, r"XPU\d+", _link).values()}
    return tuple(found.values())


def _read_query(vendor: Vendor, output: ToolOutput) -> Iterator[Device]:
    blocks: dict[str, dict[str, Entry]] = {}
    for entry in entries(output.lines):
        if entry.path[0].startswith("XPU ") and len(entry.path) > 1:
            blocks.setdefault(entry.path[0], {})[".".join(entry.path[1:])] = entry
    if not blocks:
        raise output.refusal("it lists no XPU", expected="a block that begins with XPU and its bus id")
    last = max(entry.line for entry in list(blocks.values())[-1].values())
    if not any(key.startswith("Processes") for key in list(blocks.values())[-1]):
        raise output.refusal("the last block is cut off", last, seen="no Processes", expected="Processes, which ends a block")
    for ordinal, (heading, values) in enumerate(blocks.items()):
        yield _queried(vendor, output, heading, ordinal, values)


def _queried(vendor: Vendor, output: ToolOutput, heading: str, ordinal: int, values: Mapping[str, Entry]) -> Device:
    def text(key: str) -> str:
        return "" if key not in values or is_nothing(values[key].value) else values[key].value

    def line(key: str) -> int | None:
        return values[key].line if key in values else None

    def reading(key: str, unit: str) -> float | None:
        return number(text(key), output, line(key), key, (unit,))

    memory_bytes = size_bytes(text("Memory Usage.Total"), output, line("Memory Usage.Total"), "Memory Usage.Total")
    if memory_bytes is None:
        last = max(entry.line for entry in values.values())
        raise output.refusal(f"{heading} ends before its memory", last, expected="Memory Usage, Total")
    minor = whole(text("Minor Number"), output, line("Minor Number"), "Minor Number")
    index = ordinal if minor is None else minor
    key = "ECC Errors.Volatile.DRAM Uncorrectable"
    return accelerator(
        vendor,
        index,
        model=text("Product Name") or "XPU",
        memory_bytes=memory_bytes,
        generation=text("Product Architecture"),
        health=_ecc(vendor, whole(text(key), output, line(key), key)),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(heading),
            uuid=text("XPU UUID"),
            serial=text("Serial Number"),
            device_files=(f"/dev/xpu{index}",),
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(text("Utilization.Xpu"), output, line("Utilization.Xpu"), "Utilization.Xpu"),
            memory_used_bytes=size_bytes(text("Memory Usage.Used"), output, line("Memory Usage.Used"), "Memory Usage.Used"),
            temperature_c=reading("Temperature.XPU Current Temp", "C"),
            power_w=reading("Power Readings.Power Draw", "W"),
            power_limit_w=reading("Power Readings.Enforced Power Limit", "W"),
        ),
    )


def _ecc(vendor: Vendor, count: int | None) -> DeviceHealth:
    return counted_errors(vendor, "ECC", count, "uncorrectable memory errors")


def _boxed(vendor: Vendor, boxed: BoxedDevice) -> Device:
    errors = boxed.cells[0][-1]
    return accelerator(
        vendor,
        boxed.index,
        model=boxed.name,
        memory_bytes=boxed.memory_total_bytes,
        health=_ecc(vendor, int(errors) if errors.isdigit() else None),
        address=DeviceAddress(pci_bus_id=boxed.pci_bus_id, device_files=(f"/dev/xpu{boxed.index}",)),
        usage=boxed.usage,
    )


def _read_machine(vendor: Vendor, output: ToolOutput) -> Iterator[Device]:
    for line, text in output.lines:
        if not text.strip():
            continue
        try:
            fields = shlex.split(text)
        except ValueError as error:
            raise output.refusal("the line is cut off", line, seen=repr(text[-40:])) from error
        if len(fields) < _NUM_FIELDS or not pci_bus_id(fields[0]):
            raise output.refusal(
                "not a line of xpu-smi -m",
                line,
                seen=f"{len(fields)} fields",
                expected=f"{_NUM_FIELDS} or more, a bus id first",
            )
        index = required_whole(fields[2], output, line, "device")
        yield accelerator(
            vendor,
            index,
            model=fields[21],
            memory_bytes=size_bytes(fields[18], output, line, "memory", "MiB") or 0,
            address=DeviceAddress(pci_bus_id=pci_bus_id(fields[0]), serial=fields[3], device_files=(f"/dev/xpu{index}",)),
            usage=DeviceUsage(
                utilisation_frac=fraction(fields[19], output, line, "utilisation"),
                memory_used_bytes=size_bytes(fields[17], output, line, "memory used", "MiB"),
                temperature_c=number(fields[4], output, line, "temperature"),
            ),
        )


def _with_serial(known: Device, machine: Device) -> Device:
    return replace(known, address=replace(known.address, serial=known.address.serial or machine.address.serial))


def _link(word: str, other: str) -> tuple[Proximity, DeviceLink | None] | None:
    match = re.fullmatch(r"XL(\d*)", word)
    return None if match is None else (Proximity.LINK, DeviceLink(to=other, kind="xpulink", count=int(match[1] or 1)))


def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


_QUERY, _TABLE = _matcher(r"XPUSMI LOG|^Attached XPUs\s*:|^XPU [0-9a-fA-F]{8}:"), _matcher(r"^\|\s*XPU-SMI\s")
_MACHINE, _TOPOLOGY = _matcher(r"\A\s*[0-9a-fA-F]{8}:[0-9a-fA-F]{2}:\S+ \d+ \d+ \S+ "), _matcher(r"^\s*XPU0\s+(?:XPU1|NIC|CPU)")

_FORMS = (
    Form(name="query", command=("-q",), matches=lambda text: _QUERY.search(text) is not None),
    Form(name="table", command=(), matches=lambda text: _TABLE.search(text) is not None, is_run=False),
    Form(name="machine", command=("-m",), matches=lambda text: _MACHINE.search(text) is not None),
    Form(name="topology", command=("topo", "-m"), matches=lambda text: _TOPOLOGY.search(text) is not None),
)
XPU_SMI = ToolReader(tool="xpu-smi", forms=_FORMS, read=read_xpu_smi)
XPU_SMI_OLD = ToolReader(tool="xpu_smi", other_paths=("/usr/local/xpu/bin/xpu_smi",), forms=_FORMS, read=read_xpu_smi)

VENDOR = Vendor(
    name="kunlunxin",
    title="Kunlunxin XPU",
    device_prefix="kunlun",
    device_kind="npu",
    probe="bedplate.compute.inventory.kunlunxin:probe",
    device_files=("dev/xpu[0-9]*",),
    tools=("xpu-smi", "xpu_smi"),
    readers=(XPU_SMI, XPU_SMI_OLD),
    visibility_variable="XPU_VISIBLE_DEVICES",
    health_codes={
        "ECC": HealthCode(
            state=HealthState.FAILED,
            meaning="uncorrectable memory errors",
            next_step="reset it (xpu-smi --xpu-reset); replace it if they return",
        ),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
