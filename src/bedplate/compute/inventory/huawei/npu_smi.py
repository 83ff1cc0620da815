"""npu-smi: its forms, and how they are joined into devices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, coded_health, unless_silent
from bedplate.compute.inventory.huawei.chips import Chip, Chips, generation_of, short_name
from bedplate.compute.inventory.huawei.details import add_reading, is_details, read_details
from bedplate.compute.inventory.huawei.info_table import is_info_table, read_info_table
from bedplate.compute.inventory.huawei.mapping import is_mapping, read_mapping
from bedplate.compute.inventory.huawei.vnpu import is_vnpu, read_vnpu
from bedplate.compute.inventory.text.matrix import with_topology
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceLink, DeviceUsage, Proximity

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

_LINKS = {
    "HCCS": (Proximity.LINK, "hccs"),
    "HCCS_SW": (Proximity.LINK, "hccs"),
    "SIO": (Proximity.BOARD, "sio"),
    "UB": (Proximity.LINK, "ub"),
    "PIB": (Proximity.PCIE_SWITCH, ""),
}


def read_npu_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from `npu-smi info`, completed by `info -m`, `info -t topo` and the other `-t` outputs, in any order.

    Raises:
        ConfigurationError: As the readers of the forms; a chip whose memory nobody says; one that only the details know.
    """
    chips = Chips()
    for output in outputs.get("info", ()):
        chips.update(read_info_table(output))
    for output in outputs.get("mapping", ()):
        _add_mapping(output, chips, has_table="info" in outputs)
    for output in outputs.get("details", ()):
        for reading in read_details(output):
            chip = chips.get((reading.card, reading.chip))
            if chip is None:
                chip = _named_by_details(output, chips, reading.card, reading.chip, reading.line, outputs)
            add_reading(output, chip, reading)
    if not chips:
        first = next(iter(next(iter(outputs.values()))))
        raise first.refusal("this output alone does not say which NPUs there are", next_step="add that of: npu-smi info")
    _count(chips, next(iter(outputs.get("mapping") or outputs.get("info") or outputs["details"])))
    devices = {key: _device(vendor, chips, key) for key in sorted(chips, key=lambda key: chips[key].logical or 0)}
    if not any(chip.health for chip in chips.values()):
        source = next(iter(outputs.get("info") or outputs.get("mapping") or outputs["details"]))
        unless_silent(devices.values(), source, next_step="add the output of: npu-smi info")
    for output in outputs.get("topology", ()):
        _add_topology(output, chips, devices)
    for output in outputs.get("vnpu", ()):
        _add_partitions(output, chips, devices)
    return tuple(devices.values())


def _named_by_details(output: ToolOutput, chips: Chips, card: int, chip: int, line: int, outputs: Outputs) -> Chip:
    """A chip that only the details name: right where there is no list, a mistake where there is one."""
    if "info" in outputs or "mapping" in outputs:
        known = ", ".join(f"{one} chip {two}" for one, two in chips)
        raise output.refusal(f"NPU {card} chip {chip} is in none of the other outputs", line or None, expected=known)
    raise output.refusal(
        "this output alone does not say what the NPUs are", line or None, next_step="add the output of: npu-smi info"
    )


def _add_mapping(output: ToolOutput, chips: Chips, *, has_table: bool) -> None:
    for key, mapped in read_mapping(output).items():
        chip = chips.get(key)
        if chip is None and has_table:
            raise output.refusal(f"NPU {key[0]} chip {key[1]} is not in the table of npu-smi info", mapped.line)
        if chip is None:
            chips[key] = mapped
            continue
        chip.logical = mapped.logical if mapped.logical is not None else chip.logical
        chip.physical = mapped.physical if mapped.physical is not None else chip.physical
        # A3 prints the same plain name in both; elsewhere the mapping's is the longer one.
        chip.name = max(chip.name, mapped.name, key=len)


def _count(chips: Chips, output: ToolOutput) -> None:
    """Device files, and logical ids where no output has them: the driver numbers chips in the order of cards."""
    for chip in chips.values():
        chip.file_number = chip.physical if chip.physical is not None else chip.logical
    unnumbered = [chip for chip in chips.values() if chip.logical is None]
    if unnumbered and len(unnumbered) < len(chips):
        raise output.refusal(
            f"NPU {unnumbered[0].card} chip {unnumbered[0].chip} has no logical id", expected="one for every chip"
        )
    if unnumbered:
        for ordinal, key in enumerate(sorted(chips)):
            chips[key].logical = ordinal


def _device(vendor: Vendor, chips: Chips, key: tuple[int, int]) -> Device:
    chip = chips[key]
    is_multi = any(other != key and other[0] == key[0] for other in chips)
    name, index = short_name(chip.name), chip.logical or 0
    generation = generation_of(chip.name, is_two_chip_910=is_multi and chip.physical is not None)
    return accelerator(
        vendor,
        index,
        model=f"Ascend {name}",
        memory_bytes=chip.memory_bytes or 0,
        generation=generation,
        features=vendor.precisions.get(generation, ()),
        health=coded_health(vendor, chip.health, is_asked=chip.is_health_asked),
        address=DeviceAddress(
            pci_bus_id=chip.pci_bus_id,
            serial=chip.serial,
            board=str(chip.card) if is_multi else "",
            device_files=() if chip.file_number is None else (f"/dev/davinci{chip.file_number}",),
        ),
        usage=DeviceUsage(
            utilisation_frac=chip.utilisation_frac,
            memory_used_bytes=chip.memory_used_bytes,
            temperature_c=chip.temperature_c,
            power_w=chip.power_w,
        ),
    )


def _add_topology(output: ToolOutput, chips: Chips, devices: dict[tuple[int, int], Device]) -> None:
    names = {f"NPU{card}": (card, chip) for card, chip in sorted(chips, reverse=True)}
    names |= {f"Phy-ID{chip.physical}": key for key, chip in chips.items() if chip.physical is not None}
    changed = with_topology(output, {name: devices[key] for name, key in names.items()}, r"(?:NPU|Phy-ID)\d+", _link)
    devices |= {key: changed[name] for name, key in names.items() if changed[name] is not devices[key]}
    for key, device in devices.items():  # two chips of one card are neighbours whatever the matrix says
        siblings = {devices[other].id for other in devices if other != key and other[0] == key[0]}
        nearest = dict.fromkeys(siblings, Proximity.BOARD)
        devices[key] = replace(device, distances={**device.distances, **nearest})


def _add_partitions(output: ToolOutput, chips: Chips, devices: dict[tuple[int, int], Device]) -> None:
    for number, partitions in read_vnpu(output).items():
        key = next((key for key, chip in chips.items() if chip.file_number == number), None)
        if key is None:
            raise output.refusal(
                f"no NPU has the physical id {number}",
                seen=f"vNPU {partitions[0].id}",
                next_step="add the output of: npu-smi info -m",
            )
        devices[key] = replace(devices[key], partitions=devices[key].partitions + partitions)


def _link(word: str, other: str) -> tuple[Proximity, DeviceLink | None] | None:
    if word not in _LINKS:
        return None
    proximity, kind = _LINKS[word]
    return proximity, DeviceLink(to=other, kind=kind) if kind else None


def _is_topology(text: str) -> bool:
    return any(
        ("CPU Affinity" in line and ("NPU" in line or "Phy-ID" in line)) or line.split()[:1] == ["Phy-ID0"]
        for line in text.splitlines()
    ) or ("HCCS" in text and "X    = Self" in text)


NPU_SMI = ToolReader(
    tool="npu-smi",
    other_paths=("/usr/local/bin/npu-smi", "/usr/local/sbin/npu-smi"),
    forms=(
        Form(name="info", command=("info",), matches=is_info_table, is_optional=False),
        Form(name="mapping", command=("info", "-m"), matches=is_mapping),
        Form(name="topology", command=("info", "-t", "topo"), matches=_is_topology),
        Form(name="vnpu", command=("info", "-t", "info-vnpu", "-i", "N", "-c", "M"), matches=is_vnpu, is_run=False),
        Form(
            name="details",
            command=("info", "-t", "usages|temp|power|health|board", "-i", "N"),
            matches=is_details,
            is_run=False,
        ),
    ),
    read=read_npu_smi,
)
