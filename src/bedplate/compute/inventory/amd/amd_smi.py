"""`amd-smi static|metric|list|topology --json`: four documents, each a list with one object a GPU.

    {"gpu_data": [{"gpu": 0, "asic": {"market_name": "Instinct MI300X"}, "vram": {"size": {"value": 196592, "unit": "MB"}}}]}

ROCm 6 prints the bare list, later releases wrap it as `gpu_data`; numbers are `{"value", "unit"}` objects, plain in old
releases; a sensor that a card lacks is the text "N/A"; warnings may stand before the document. Source: AMD SMI documentation,
outputs in the tests of public monitors of ROCm clusters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bedplate.compute.inventory.accelerator import accelerator, coded_health, unless_silent
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.documents import at, json_text, quantity_text, read_json
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes, whole
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DeviceLink, DevicePartition, DeviceUsage, Proximity

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

_POWER = ("socket_power", "current_socket_power", "average_socket_power", "current_power")
_LIMITS = ("socket_power_limit", "power_cap", "max_power")


def read_amd_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from `static`, with usage and errors from `metric`, ids from `list` and links from `topology`.

    Raises:
        ConfigurationError: Not JSON, or cut off; no document that says what the GPUs are; with the line.
    """
    facts: dict[int, dict[str, Any]] = {}
    sources: dict[int, ToolOutput] = {}
    for form in ("static", "list", "metric"):
        for output in outputs.get(form, ()):
            for entry in _gpus(output):
                index = required_whole(entry.get("gpu"), output, None, "gpu")
                facts[index] = _merged(facts.get(index, {}), entry)
                sources.setdefault(index, output)
    if not facts:
        first = next(iter(next(iter(outputs.values()))))
        raise first.refusal("it lists no GPU", expected="one object a GPU", next_step="amd-smi static --json")
    devices = {index: _device(vendor, sources[index], index, facts[index]) for index in sorted(facts)}
    for output in outputs.get("topology", ()):
        for entry in _gpus(output):
            index = required_whole(entry.get("gpu"), output, None, "gpu")
            if index not in devices:
                raise output.refusal(f"GPU {index} is in none of the other outputs")
            devices[index] = _with_links(devices[index], list(_links(vendor, output, entry)))
    source = next(iter(sources.values()))
    return unless_silent(devices.values(), source, expected="vram.size", next_step="add the output of: amd-smi static --json")


def _gpus(output: ToolOutput) -> list[Mapping[str, Any]]:
    document = read_json(output)
    listed = document.get("gpu_data") if isinstance(document, Mapping) else document
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        raise output.refusal("it is no list of GPUs", expected='[{"gpu": 0, …}]')
    return listed


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, object by object; what came first wins where both say something."""
    merged = dict(one)
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        elif is_nothing(merged.get(key)):
            merged[key] = value
    return merged


def _device(vendor: Vendor, output: ToolOutput, index: int, gpu: Mapping[str, Any]) -> Device:
    def size(*path: str) -> int | None:
        return size_bytes(quantity_text(at(gpu, *path)), output, None, ".".join(path), "MB")

    def reading(section: str, names: tuple[str, ...], unit: str) -> float | None:
        values = (quantity_text(at(gpu, section, name)) for name in names)
        return number(next((value for value in values if not is_nothing(value)), None), output, None, section, (unit,))

    memory_bytes = size("vram", "size") or size("vram", "vram_size_mb") or size("mem_usage", "total_vram")
    generation = _word(at(gpu, "asic", "target_graphics_version"))
    bus = pci_bus_id(_word(at(gpu, "bus", "bdf")) or _word(gpu.get("bdf")))
    node = whole(at(gpu, "numa", "node"), output, None, "numa.node")
    device = accelerator(
        vendor,
        index,
        model=(_word(at(gpu, "asic", "market_name")) or _word(at(gpu, "board", "product_name")) or "GPU").removeprefix("AMD "),
        memory_bytes=memory_bytes,
        generation=generation,
        features=(*((generation,) if generation else ()), *vendor.precisions.get(generation, ())),
        health=_health(vendor, output, gpu),
        address=DeviceAddress(
            pci_bus_id=bus,
            uuid=_word(gpu.get("uuid")),
            serial=_word(at(gpu, "board", "product_serial")) or _word(at(gpu, "asic", "asic_serial")),
            numa_node=None if node is None or node < 0 else node,
            device_files=tuple(f"/dev/dri/{name}" for name in [_word(gpu.get("render"))] if name.startswith("renderD")),
            cdi=f"{vendor.cdi_kind}={index}",
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(quantity_text(at(gpu, "usage", "gfx_activity")), output, None, "usage.gfx_activity"),
            memory_used_bytes=size("mem_usage", "used_vram"),
            temperature_c=reading("temperature", ("hotspot", "edge"), "C"),
            power_w=reading("power", _POWER, "W"),
            power_limit_w=reading("limit", _LIMITS, "W"),
        ),
    )
    return replace(device, partitions=tuple(_partitions(gpu, memory_bytes or 0, index)))


def _word(value: Any) -> str:
    return "" if is_nothing(value) else str(value).strip()


def _health(vendor: Vendor, output: ToolOutput, gpu: Mapping[str, Any]) -> DeviceHealth:
    """From the counters of `metric`: uncorrectable and deferred errors since the driver was loaded."""
    uncorrected = whole(at(gpu, "ecc", "total_uncorrectable_count"), output, None, "ecc.total_uncorrectable_count")
    deferred = whole(at(gpu, "ecc", "total_deferred_count"), output, None, "ecc.total_deferred_count")
    codes = ["RAS UE"] * bool(uncorrected) + ["RAS deferred"] * bool(deferred)
    return coded_health(vendor, codes, is_asked=uncorrected is not None)


def _partitions(gpu: Mapping[str, Any], memory_bytes: int, index: int) -> Iterator[DevicePartition]:
    """A GPU in another mode than SPX shows each part as a GPU of its own: this one is such a part."""
    mode = _word(at(gpu, "partition", "accelerator_partition")) or _word(at(gpu, "partition", "compute_partition"))
    if mode and mode != "SPX":
        yield DevicePartition(
            id=_word(gpu.get("partition_id")) or str(index), profile=mode, memory_bytes=memory_bytes, kind="compute"
        )


def _links(vendor: Vendor, output: ToolOutput, entry: Mapping[str, Any]) -> Iterator[tuple[Proximity, DeviceLink | None, str]]:
    for link in entry.get("links") or ():
        other = f"{vendor.device_prefix}:{required_whole(link.get('gpu'), output, None, 'links.gpu')}"
        kind = _word(link.get("link_type")).upper()
        if kind in ("SELF", "") or link.get("link_status") == "DISABLED":
            continue
        if kind == "XGMI":
            yield (
                Proximity.LINK,
                DeviceLink(to=other, kind="xgmi", bandwidth_bytes_per_s=_bandwidth(link.get("bandwidth"))),
                other,
            )
        elif kind in ("PCIE", "PCI_EXPRESS"):
            hops = whole(link.get("num_hops"), output, None, "links.num_hops") or 0
            yield Proximity.SYSTEM if hops > 2 else Proximity.HOST_BRIDGE, None, other
        else:
            raise output.refusal(f"'{kind}' is not a known kind of link", expected="XGMI, PCIE")


def _bandwidth(text: Any) -> float | None:
    """`50000-100000` (MB/s, least and most) -> the most, in bytes/s."""
    match = re.fullmatch(r"\d+-(\d+)", _word(text))
    return float(match[1]) * 1e6 if match and int(match[1]) else None


def _with_links(device: Device, links: list[tuple[Proximity, DeviceLink | None, str]]) -> Device:
    return replace(
        device,
        links=tuple(link for _, link, _ in links if link is not None),
        distances={other: proximity for proximity, _, other in links},
    )


def _is_form(*keys: str) -> re.Pattern[str]:
    return re.compile("|".join(f'"{key}"\\s*:' for key in keys))


_GPU = re.compile(r'"gpu"\s*:\s*\d+')
_STATIC, _METRIC, _LIST, _TOPOLOGY = (
    _is_form("asic", "vram", "driver"),
    _is_form("usage", "mem_usage", "temperature", "ecc"),
    _is_form("kfd_id", "node_id", "bdf", "uuid"),
    _is_form("links"),
)


def _form_name(text: str) -> str:
    document = json_text(text)
    if not _GPU.search(document):
        return "none" if document != "[]" else "list"
    forms = {"topology": _TOPOLOGY, "static": _STATIC, "metric": _METRIC, "list": _LIST}
    return next((name for name, pattern in forms.items() if pattern.search(document)), "none")


AMD_SMI = ToolReader(
    tool="amd-smi",
    other_paths=("/opt/rocm/bin/amd-smi",),
    forms=(
        Form(name="static", command=("static", "--json"), matches=lambda text: _form_name(text) == "static", is_optional=False),
        Form(name="metric", command=("metric", "--json"), matches=lambda text: _form_name(text) == "metric"),
        Form(name="list", command=("list", "--json"), matches=lambda text: _form_name(text) == "list"),
        Form(name="topology", command=("topology", "--json"), matches=lambda text: _form_name(text) == "topology"),
    ),
    read=read_amd_smi,
)
