"""Intel Data Center and Arc GPUs, by its `xpu-smi`; Kunlunxin's tool has the same name and prints nothing alike.

Devices are named `xpu:N`. Forms, all JSON: `discovery -j` lists the devices, `discovery -d N -j` has the memory of one,
`stats -d N -j` its readings. Memory in use is in bytes before xpu-smi 1.2 and in MiB since: a number above the device's MiB
can only be bytes. Virtual functions and devices that are no GPU are left out. Sources: Intel XPU Manager's user guide and
dump options, outputs for Max 1100 and Flex 170 in tests of public monitors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bedplate.compute.inventory.accelerator import accelerator, counted_errors, unless_silent
from bedplate.compute.inventory.base import DeviceProbe, HealthCode, Vendor
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.documents import json_text, read_json
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceUsage, HealthState

_MIB = 2**20


def read_xpu_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from the list, the details and the statistics.

    Raises:
        ConfigurationError: Not JSON, cut off, statistics alone, or a device whose memory no output says.
    """
    facts: dict[int, dict[str, Any]] = {}
    sources: dict[int, ToolOutput] = {}
    for form in ("list", "details"):
        for output in outputs.get(form, ()):
            document = read_json(output)
            for entry in document["device_list"] if form == "list" else [document]:
                index = required_whole(entry.get("device_id"), output, None, "device_id")
                facts[index] = {**facts.get(index, {}), **entry}
                sources[index] = output
    statistics: dict[int, dict[str, Any]] = {}
    for output in outputs.get("stats", ()):
        document = read_json(output)
        for entry in document.get("device_list") or [document]:
            index = required_whole(entry.get("device_id"), output, None, "device_id")
            if index not in facts:
                raise output.refusal(
                    f"nothing says what device {index} is", next_step="add the output of: xpu-smi discovery -j"
                )
            statistics[index] = {item.get("metrics_type"): item.get("value") for item in entry.get("device_level") or ()}
    kept = [index for index in sorted(facts) if _is_whole_gpu(facts[index])]
    return unless_silent(
        (_device(vendor, sources[index], index, facts[index], statistics.get(index, {})) for index in kept),
        next(iter(sources.values())),
        expected="memory_physical_size_byte",
        next_step="add the output of: xpu-smi discovery -d 0 -j, and of all others",
    )


def _is_whole_gpu(facts: Mapping[str, Any]) -> bool:
    return facts.get("device_function_type") != "virtual" and "GPU" in str(facts.get("device_type", "GPU"))


def _device(vendor: Vendor, output: ToolOutput, index: int, facts: Mapping[str, Any], values: Mapping[str, Any]) -> Device:
    memory = facts.get("memory_physical_size_byte") or facts.get("memory_physical_size")
    memory_bytes = size_bytes(memory, output, None, "memory_physical_size_byte")
    return accelerator(
        vendor,
        index,
        model=re.sub(r"\((?:R|TM)\)", "", str(facts.get("device_name", "GPU"))).removeprefix("Intel ").strip(),
        memory_bytes=memory_bytes,
        health=counted_errors(vendor, "RAS uncorrectable", _uncorrectable(output, values), "uncorrectable errors"),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(str(facts.get("pci_bdf_address", ""))),
            uuid=_word(facts.get("uuid")),
            serial=_word(facts.get("serial_number")),
            device_files=(str(facts["drm_device"]),) if facts.get("drm_device") else (),
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(values.get("XPUM_STATS_GPU_UTILIZATION"), output, None, "XPUM_STATS_GPU_UTILIZATION"),
            memory_used_bytes=_memory_used(output, values.get("XPUM_STATS_MEMORY_USED"), memory_bytes or 0),
            temperature_c=number(
                values.get("XPUM_STATS_GPU_CORE_TEMPERATURE"), output, None, "XPUM_STATS_GPU_CORE_TEMPERATURE"
            ),
            power_w=number(values.get("XPUM_STATS_POWER"), output, None, "XPUM_STATS_POWER"),
        ),
    )


def _memory_used(output: ToolOutput, value: Any, memory_bytes: int) -> int | None:
    used = number(value, output, None, "XPUM_STATS_MEMORY_USED")
    if used is None:
        return None
    return round(used * _MIB) if used <= memory_bytes / _MIB else round(used)


def _uncorrectable(output: ToolOutput, values: Mapping[str, Any]) -> int | None:
    counts = [number(value, output, None, str(name)) for name, value in values.items() if str(name).endswith("_UNCORRECTABLE")]
    known = [count for count in counts if count is not None]
    return round(sum(known)) if known else None


def _word(value: Any) -> str:
    return "" if is_nothing(value) else str(value)


def _form_name(text: str) -> str:
    document = json_text(text)
    if '"metrics_type"' in document:
        return "stats"
    if '"device_list"' in document and '"device_id"' in document:
        return "list"
    return "details" if '"device_id"' in document and '"device_name"' in document else "none"


XPU_SMI = ToolReader(
    tool="xpu-smi",
    forms=(
        Form(name="list", command=("discovery", "-j"), matches=lambda text: _form_name(text) == "list", is_optional=False),
        Form(name="details", command=("discovery", "-d", "{device}", "-j"), matches=lambda text: _form_name(text) == "details"),
        Form(name="stats", command=("stats", "-d", "{device}", "-j"), matches=lambda text: _form_name(text) == "stats"),
    ),
    read=read_xpu_smi,
    num_devices=lambda outputs: sum(len(read_json(output)["device_list"]) for output in outputs.get("list", ())),
)

VENDOR = Vendor(
    name="intel",
    title="Intel Data Center GPU, Arc",
    device_prefix="xpu",
    probe="bedplate.compute.inventory.intel:probe",
    tools=("xpu-smi",),
    readers=(XPU_SMI,),
    visibility_variable="ZE_AFFINITY_MASK",
    health_codes={
        "RAS uncorrectable": HealthCode(
            state=HealthState.FAILED,
            meaning="uncorrectable errors",
            next_step="run xpu-smi diag -d N -l 3; replace it if they return",
        ),
    },
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
