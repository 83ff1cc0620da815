"""nvidia-smi: its forms, and how they are joined into devices.

Forms: the XML of `-q -x`, the same as keys of `-q`, the csv of `--query-gpu`, the matrix of `topo -m`, and the table that it
prints without arguments. Source: the manual page of nvidia-smi, outputs in the tests of gpud and of dcgm-exporter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, coded_health, counted_errors, worse
from bedplate.compute.inventory.nvidia.architecture import features_of, generation_of
from bedplate.compute.inventory.nvidia.lost import codes_in, lost_gpus, without_lost_lines
from bedplate.compute.inventory.nvidia.query_log import is_query_log, read_query_log
from bedplate.compute.inventory.nvidia.query_xml import is_query_xml, read_query_xml
from bedplate.compute.inventory.text.boxes import BoxedDevice, pci_bus_id, read_boxes
from bedplate.compute.inventory.text.csv_table import QueryRow, is_query, read_query
from bedplate.compute.inventory.text.matrix import with_topology
from bedplate.compute.inventory.text.quantities import is_nothing
from bedplate.compute.inventory.tools.output import Outputs
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceLink, Proximity

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

QUERY = (
    "index",
    "uuid",
    "name",
    "serial",
    "pci.bus_id",
    "compute_cap",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "temperature.gpu",
    "power.draw",
    "power.limit",
    "ecc.errors.uncorrected.volatile.total",
)
"""What the probe asks for; a saved query may have these in any order and number, and others beside them."""


def read_nvidia_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from any of the forms that list them, each completed by the others, and by the topology.

    Raises:
        ConfigurationError: As the readers of the forms; a topology alone.
    """
    found: dict[str, Device] = {}
    for output in outputs.get("xml", ()):
        found |= {device.id: device for device in read_query_xml(vendor, output)}
    for output in outputs.get("log", ()):
        found |= {device.id: device for device in read_query_log(vendor, output)}
    for output in outputs.get("query", ()):
        for row in read_query(replace(output, text=without_lost_lines(output.text))):
            device = _queried(vendor, row)
            known = found.get(device.id)
            if known is not None and known.address.uuid and device.address.uuid not in ("", known.address.uuid):
                raise row.output.refusal(
                    f"two GPUs have the index {row.index()}",
                    row.line,
                    seen=f"{known.address.uuid} and {device.address.uuid}",
                    expected="outputs of one machine",
                )
            found[device.id] = device if known is None else _joined(known, device)
    for output in outputs.get("table", ()):
        for boxed in read_boxes(output):
            device = _boxed(vendor, boxed)
            found.setdefault(device.id, device)
    every = [output for form in outputs.values() for output in form]
    found |= {key: lost for key, lost in lost_gpus(vendor, every).items() if not _is_listed(lost, found)}
    if not found:
        raise outputs["topology"][0].refusal(
            "a topology alone does not say what the GPUs are", next_step="add: nvidia-smi -q -x"
        )
    for output in outputs.get("topology", ()):
        by_name = {f"GPU{device_id.rpartition(':')[2]}": device for device_id, device in found.items()}
        found = {device.id: device for device in with_topology(output, by_name, r"GPU\d+", _link).values()}
    return tuple(found.values())


def _is_listed(lost: Device, found: Mapping[str, Device]) -> bool:
    return any(device.address.pci_bus_id == lost.address.pci_bus_id for device in found.values())


def _queried(vendor: Vendor, row: QueryRow) -> Device:
    uuid, capability = row.text("uuid", "gpu_uuid"), row.text("compute_cap")
    if capability and not re.fullmatch(r"\d+\.\d+", capability):
        raise row.output.refusal("not a compute capability", row.line, seen=repr(capability), expected="9.0")
    errors = row.number("ecc.errors.uncorrected.volatile.total")
    return accelerator(
        vendor,
        row.index(),
        model=row.text("name", "gpu_name").removeprefix("NVIDIA "),
        memory_bytes=row.size_bytes("memory.total") or 0,
        word=uuid or None,
        generation=generation_of(capability) if capability else "",
        features=features_of(vendor, capability) if capability else (),
        health=worse(
            counted_errors(
                vendor,
                "Xid 48",
                None if errors is None else int(errors),
                "uncorrectable memory errors since the last reset",
            ),
            coded_health(vendor, codes_in(row.values.values()), is_asked=False),
        ),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(row.text("pci.bus_id", "gpu_bus_id")),
            uuid=uuid,
            serial=row.text("serial", "gpu_serial"),
            cdi=f"{vendor.cdi_kind}={uuid}" if uuid else "",
        ),
        usage=row.usage(),
    )


def _joined(device: Device, query: Device) -> Device:
    """The XML's device with what only the query says: the compute capability."""
    return replace(
        device,
        features=query.features or device.features,
        generation=device.generation or query.generation,
        memory_bytes=device.memory_bytes or query.memory_bytes,
    )


def _boxed(vendor: Vendor, boxed: BoxedDevice) -> Device:
    errors = boxed.cells[0][-1]
    return accelerator(
        vendor,
        boxed.index,
        model="" if is_nothing(boxed.name) else boxed.name.removeprefix("NVIDIA "),
        memory_bytes=boxed.memory_total_bytes,
        health=worse(
            counted_errors(
                vendor,
                "Xid 48",
                int(errors) if errors.isdigit() else None,
                "uncorrectable memory errors since the last reset",
            ),
            coded_health(vendor, _codes_of(boxed), is_asked=False),
        ),
        address=DeviceAddress(pci_bus_id=boxed.pci_bus_id),
        usage=boxed.usage,
    )


def _codes_of(boxed: BoxedDevice) -> tuple[str, ...]:
    """`ERR!` stands among other words of a cell."""
    return codes_in(word for cells in boxed.cells for cell in cells for word in (cell, *cell.split()))


def _link(word: str, other: str) -> tuple[Proximity, DeviceLink | None] | None:
    match = re.fullmatch(r"NV(\d+)", word)
    return None if match is None else (Proximity.LINK, DeviceLink(to=other, kind="nvlink", count=int(match[1])))


def _is_iluvatar(text: str) -> bool:
    return "Iluvatar" in text


def _is_topology(text: str) -> bool:
    return (
        re.search(r"^\W*(?:\x1b\[4m)?\W*GPU0\s.*(?:CPU Affinity|GPU1)", text, re.MULTILINE) is not None and "MetaX" not in text
    )


def _is_table(text: str) -> bool:
    return re.search(r"^\|\s*NVIDIA-SMI\s", text, re.MULTILINE) is not None


NVIDIA_SMI = ToolReader(
    tool="nvidia-smi",
    forms=(
        Form(name="xml", command=("-q", "-x"), matches=is_query_xml),
        Form(
            name="query",
            command=(f"--query-gpu={','.join(QUERY)}", "--format=csv"),
            matches=lambda text: is_query(without_lost_lines(text)),
            is_certain=lambda text: not _is_iluvatar(text),
        ),
        Form(name="topology", command=("topo", "-m"), matches=_is_topology),
        Form(name="log", command=("-q",), matches=is_query_log, is_run=False),
        Form(name="table", command=(), matches=_is_table, is_run=False),
    ),
    read=read_nvidia_smi,
)
