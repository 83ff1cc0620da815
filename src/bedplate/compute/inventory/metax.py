"""MetaX GPUs, by `mx-smi`: its table, the list of `-L`, the details of `--show-…`, and the matrix of `topo -m`.

Devices are named `maca:N`. Every output begins with `mx-smi version:`; its columns moved between releases. Sources: tables in
public guides for C500 and C550 (2.1 to 2.2), `mx-smi -L` and hotspot outputs in tests of node checkers, SwanLab's reader of
`--show-memory`, `--show-usage`, `--show-temperature` and `--show-board-power`, the matrix in ms-swift's guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from bedplate.compute.inventory.accelerator import accelerator, coded_health, unless_silent
from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.text.boxes import BoxedDevice, pci_bus_id, read_boxes
from bedplate.compute.inventory.text.keyed import entries
from bedplate.compute.inventory.text.matrix import with_topology
from bedplate.compute.inventory.text.quantities import fraction, number, size_bytes
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceLink, DeviceUsage, HealthState, Proximity

_LISTED = re.compile(r"GPU#(\d+)\s+(\S+)\s+([0-9a-fA-F:.]+)\s+([^(]*(?:\((?!UUID)[^)]*\))?)\s*(?:\(UUID:\s*([^)]*)\))?")
_HEADING = re.compile(r"GPU#(\d+)\s+(\S+)\s+([0-9a-fA-F:.]+)")


@dataclass(slots=True, kw_only=True)
class _Gpu:
    name: str
    bus: str
    uuid: str = ""
    state: str = ""
    memory_bytes: int | None = None
    usage: DeviceUsage = field(default_factory=DeviceUsage)


def read_mx_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from any of the forms that list them, each completed by the others.

    Raises:
        ConfigurationError: A form that is cut off; a GPU whose memory no output says.
    """
    gpus: dict[int, _Gpu] = {}
    for output in outputs.get("table", ()):
        gpus |= {boxed.index: _from_table(boxed) for boxed in read_boxes(output)}
    for output in outputs.get("details", ()):
        _add_details(output, gpus)
    for output in outputs.get("list", ()):
        _add_list(output, gpus)
    first = next(iter(next(iter(outputs.values()))))
    if not gpus:
        raise first.refusal("this output alone does not say which GPUs there are", next_step="add the output of: mx-smi")
    devices = {f"GPU{index}": _device(vendor, index, gpus[index]) for index in sorted(gpus)}
    for output in outputs.get("topology", ()):
        devices = with_topology(output, devices, r"GPU\d+", _link)
    return unless_silent(devices.values(), first, next_step="add the output of: mx-smi")


def _from_table(boxed: BoxedDevice) -> _Gpu:
    return _Gpu(
        name=boxed.name.removeprefix("MetaX "),
        bus=boxed.pci_bus_id,
        state=_state(boxed.cells),
        memory_bytes=boxed.memory_total_bytes,
        usage=boxed.usage,
    )


def _state(cells: tuple[tuple[str, ...], ...]) -> str:
    """`Available`, `Not Available`; releases before 2.2 leave the cell empty."""
    return cells[1][-1] if len(cells) > 1 and "vailable" in cells[1][-1] else ""


def _add_list(output: ToolOutput, gpus: dict[int, _Gpu]) -> None:
    for line, text in output.lines:
        match = _LISTED.fullmatch(text.strip())
        if match is None and text.startswith("GPU#"):
            raise output.refusal("the line is cut off", line, seen=repr(text[-60:]), expected="a state, and a UUID in brackets")
        if match is not None:
            index, name, bus, state, uuid = int(match[1]), match[2], pci_bus_id(match[3]), match[4].strip(), match[5] or ""
            gpu = gpus.setdefault(index, _Gpu(name=name, bus=bus))
            gpu.bus, gpu.uuid, gpu.state = bus, uuid, state or gpu.state


def _add_details(output: ToolOutput, gpus: dict[int, _Gpu]) -> None:
    """`--show-…`: under the heading of each GPU, keys that say what they are."""
    for entry in entries(output.lines):
        heading = next((match for word in entry.path if (match := _HEADING.match(word))), None)
        if heading is None:
            continue
        gpu = gpus.setdefault(int(heading[1]), _Gpu(name=heading[2], bus=pci_bus_id(heading[3])))
        key, section = entry.path[-1], " ".join(entry.path[:-1])
        if re.fullmatch(r"(?:vis_)?vram total", key):
            gpu.memory_bytes = gpu.memory_bytes or size_bytes(entry.value, output, entry.line, key)
        elif re.fullmatch(r"(?:vis_)?vram used", key) and gpu.usage.memory_used_bytes is None:
            gpu.usage = replace(gpu.usage, memory_used_bytes=size_bytes(entry.value, output, entry.line, key))
        elif key.startswith("hotspot"):
            gpu.usage = replace(gpu.usage, temperature_c=number(entry.value, output, entry.line, key, ("C",)))
        elif key == "GPU" and entry.value.endswith("%"):
            gpu.usage = replace(gpu.usage, utilisation_frac=fraction(entry.value, output, entry.line, key))
        elif key == "Total" and "ower" in section:
            gpu.usage = replace(gpu.usage, power_w=number(entry.value, output, entry.line, key, ("W",)))


def _device(vendor: Vendor, index: int, gpu: _Gpu) -> Device:
    return accelerator(
        vendor,
        index,
        model=gpu.name,
        memory_bytes=gpu.memory_bytes or 0,
        health=_health(vendor, gpu.state),
        address=DeviceAddress(pci_bus_id=gpu.bus, uuid=gpu.uuid),
        usage=gpu.usage,
    )


def _health(vendor: Vendor, state: str) -> DeviceHealth:
    """`Not Available(MetaX Sysfs File Unaccessible)` keeps the reason in its finding."""
    if not state or state == "Available":
        return DeviceHealth(state=HealthState.OK if state else HealthState.UNKNOWN)
    word, _, reason = state.partition("(")
    health = coded_health(vendor, (word.strip(),))
    return replace(health, findings=(*health.findings, reason.rstrip(")"))) if reason else health


def _link(word: str, other: str) -> tuple[Proximity, DeviceLink | None] | None:
    """`MX`: MetaXLink; `ETH` and others are not known here."""
    return (Proximity.LINK, DeviceLink(to=other, kind="metaxlink")) if re.fullmatch(r"MX\d*", word) else None


def _is_mx(text: str) -> bool:
    return re.search(r"^\s*mx-smi\s+version:", text, re.MULTILINE) is not None or "MetaX System Management" in text


_TABLE = re.compile(r"^\|\s*MX-SMI\s", re.MULTILINE)
_MATRIX = re.compile(r"link type matrix|^\s*GPU0\s+GPU1\b", re.MULTILINE)
_LIST = re.compile(r"^GPU#\d+[ \t]+\S+[ \t]+[0-9a-fA-F:.]+[ \t]+\S", re.MULTILINE)
_DETAILS = re.compile(r"^GPU#\d+[ \t]+\S+[ \t]+[0-9a-fA-F:.]+[ \t]*$", re.MULTILINE)

MX_SMI = ToolReader(
    tool="mx-smi",
    other_paths=("/opt/mxdriver/bin/mx-smi", "/opt/maca/bin/mx-smi"),
    forms=(
        Form(name="table", command=(), matches=lambda text: _TABLE.search(text) is not None, is_optional=False),
        Form(name="topology", command=("topo", "-m"), matches=lambda text: _is_mx(text) and _MATRIX.search(text) is not None),
        Form(name="list", command=("-L",), matches=lambda text: _LIST.search(text) is not None),
        Form(
            name="details",
            command=("--show-memory|usage|temperature|board-power",),
            matches=lambda text: _DETAILS.search(text) is not None,
            is_run=False,
        ),
    ),
    read=read_mx_smi,
)

VENDOR = Vendor(
    name="metax",
    title="MetaX",
    device_prefix="maca",
    probe="bedplate.compute.inventory.metax:probe",
    device_files=("dev/mxcd",),
    tools=("mx-smi",),
    readers=(MX_SMI,),
    visibility_variable="MACA_VISIBLE_DEVICES",
    health_codes={
        "Not Available": HealthCode(
            state=HealthState.FAILED,
            meaning="the driver cannot reach the GPU",
            next_step="see dmesg; reset the GPU or the node",
        ),
        "Unavailable": HealthCode(
            state=HealthState.FAILED,
            meaning="the driver cannot reach the GPU",
            next_step="see dmesg; reset the GPU or the node",
        ),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
