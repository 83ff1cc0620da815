"""Iluvatar CoreX GPUs, by `ixsmi`: queries and a table in the shapes of nvidia-smi.

Devices are named `corex:N`. CoreX 3 calls the power columns `power.draw` and `power.limit`, CoreX 4 `gpu.power.draw` and
`gpu.power.limit`; a query with a name that the release does not know prints no table at all, so both are asked. Sources: public
scripts for BI-V100, BI-V150 and MR-V100, a device plugin that maps UUIDs to /dev/iluvatarN by index.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bedplate.compute.inventory.accelerator import accelerator, counted_errors
from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.text.boxes import BoxedDevice, pci_bus_id, read_boxes
from bedplate.compute.inventory.text.csv_table import QueryRow, is_query, read_query
from bedplate.compute.inventory.tools.output import Outputs
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, HealthState

_COLUMNS = "index,name,uuid,serial,pci.bus_id,memory.total,memory.used,utilization.gpu,temperature.gpu"


def read_ixsmi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from a query, the table, or both.

    Raises:
        ConfigurationError: A row with other columns than the header, a table that is cut off; with the line.
    """
    found: dict[str, Device] = {}
    for output in outputs.get("query", ()):
        found |= {device.id: device for device in (_queried(vendor, row) for row in read_query(output))}
    for output in outputs.get("table", ()):
        for boxed in read_boxes(output):
            device = _boxed(vendor, boxed)
            known = found.get(device.id)
            found[device.id] = device if known is None else replace(known, health=device.health)
    return tuple(found.values())


def _queried(vendor: Vendor, row: QueryRow) -> Device:
    index, uuid = row.index(), row.text("uuid", "gpu_uuid")
    return accelerator(
        vendor,
        index,
        model=_model(row.text("name", "gpu_name")),
        memory_bytes=row.size_bytes("memory.total") or 0,
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(row.text("pci.bus_id", "gpu_bus_id")),
            uuid=uuid,
            serial=row.text("serial", "gpu_serial"),
            device_files=(f"/dev/iluvatar{index}",),
        ),
        usage=row.usage(),
    )


def _boxed(vendor: Vendor, boxed: BoxedDevice) -> Device:
    errors = boxed.cells[0][-1]
    return accelerator(
        vendor,
        boxed.index,
        model=_model(boxed.name),
        memory_bytes=boxed.memory_total_bytes,
        health=counted_errors(vendor, "ECC", int(errors), "uncorrectable ECC errors") if errors.isdigit() else DeviceHealth(),
        address=DeviceAddress(pci_bus_id=boxed.pci_bus_id, device_files=(f"/dev/iluvatar{boxed.index}",)),
        usage=boxed.usage,
    )


def _model(name: str) -> str:
    return name.removeprefix("Iluvatar ").strip()


def _query(*power: str) -> tuple[str, ...]:
    return (f"--query-gpu={','.join((_COLUMNS, *power))}", "--format=csv")


IXSMI = ToolReader(
    tool="ixsmi",
    other_paths=("/usr/local/corex/bin/ixsmi",),
    forms=(
        Form(
            name="query",
            command=_query("gpu.power.draw", "gpu.power.limit"),
            other_commands=(_query("power.draw", "power.limit"),),
            matches=is_query,
            is_certain=lambda text: "Iluvatar" in text,
        ),
        Form(name="table", command=(), matches=lambda text: re.search(r"^\|\s*IX-ML[: ]", text, re.MULTILINE) is not None),
    ),
    read=read_ixsmi,
)

VENDOR = Vendor(
    name="iluvatar",
    title="Iluvatar CoreX",
    device_prefix="corex",
    probe="bedplate.compute.inventory.iluvatar:probe",
    device_files=("dev/iluvatar[0-9]*",),
    tools=("ixsmi",),
    readers=(IXSMI,),
    visibility_variable="CUDA_VISIBLE_DEVICES",
    health_codes={
        "ECC": HealthCode(
            state=HealthState.FAILED,
            meaning="uncorrectable ECC errors",
            next_step="reset the GPU (ixsmi -r); replace it if they return",
        ),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
