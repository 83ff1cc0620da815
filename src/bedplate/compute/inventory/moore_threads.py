"""Moore Threads GPUs, by `mthreads-gmi -q --json`.

Devices are named `musa:N`. Quantities carry their unit without a blank (`81920MiB`, `96.66W`), the key `Power Draw ` ends in
a blank, and the bus id is `PCI.Bus ID` or `PCI.PCI/Bus ID`. Sources: SwanLab's reader, outputs for S4000 and S5000 in the
tests of public exporters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bedplate.compute.inventory.accelerator import accelerator, unless_silent
from bedplate.compute.inventory.base import DeviceProbe, Vendor
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.documents import at, json_text, read_json
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import Outputs, ToolOutput
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceUsage


def read_mthreads_gmi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from one or more outputs, whole (`-q`) or in parts (`-q -d MEMORY`).

    Raises:
        ConfigurationError: Not JSON, cut off, no GPU, or a GPU whose memory no output says.
    """
    gpus: dict[int, dict[str, Any]] = {}
    sources: dict[int, ToolOutput] = {}
    for output in outputs["json"]:
        listed = at(read_json(output), "GPU")
        if not isinstance(listed, list) or not listed:
            raise output.refusal("it lists no GPU", expected="GPU: [{Index: 0, …}]")
        for gpu in listed:
            index = required_whole(at(gpu, "Index"), output, None, "Index")
            gpus[index] = {**{str(key).strip(): value for key, value in gpu.items()}, **gpus.get(index, {})}
            sources.setdefault(index, output)
    devices = (_device(vendor, sources[index], index, gpus[index]) for index in sorted(gpus))
    return unless_silent(devices, outputs["json"][0], next_step="mthreads-gmi -q --json")


def _device(vendor: Vendor, output: ToolOutput, index: int, gpu: Mapping[str, Any]) -> Device:
    def value(*path: str) -> Any:
        section = at(gpu, *path[:-1]) if len(path) > 1 else gpu
        names = {str(key).strip(): item for key, item in section.items()} if isinstance(section, Mapping) else {}
        return names.get(path[-1])

    memory_bytes = size_bytes(value("FB Memory Usage", "Total"), output, None, "FB Memory Usage.Total")
    uuid = _word(value("GPU UUID"))
    return accelerator(
        vendor,
        index,
        model=_word(value("Product Name")) or "MTT",
        memory_bytes=memory_bytes,
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(_word(value("PCI", "Bus ID")) or _word(value("PCI", "PCI/Bus ID"))),
            uuid=uuid,
            serial=_word(value("Serial Number")),
            device_files=(f"/dev/mtgpu.{index}",),
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(value("Utilization", "Gpu"), output, None, "Utilization.Gpu"),
            memory_used_bytes=size_bytes(value("FB Memory Usage", "Used"), output, None, "FB Memory Usage.Used"),
            temperature_c=number(value("Temperature", "GPU Current Temp"), output, None, "GPU Current Temp", ("C",)),
            power_w=number(value("Power Readings", "Power Draw"), output, None, "Power Draw", ("W",)),
            # 0 W: the card does not say, as public monitors found.
            power_limit_w=number(value("Power Readings", "Current Power Limit"), output, None, "Power Limit", ("W",)) or None,
        ),
    )


def _word(value: Any) -> str:
    return "" if is_nothing(value) else str(value)


MTHREADS_GMI = ToolReader(
    tool="mthreads-gmi",
    forms=(
        Form(
            name="json",
            command=("-q", "--json"),
            matches=lambda text: '"GPU"' in json_text(text) and '"Index"' in json_text(text),
            is_optional=False,
        ),
    ),
    read=read_mthreads_gmi,
)

VENDOR = Vendor(
    name="moore-threads",
    title="Moore Threads",
    device_prefix="musa",
    probe="bedplate.compute.inventory.moore_threads:probe",
    device_files=("dev/mtgpu.[0-9]*",),
    tools=("mthreads-gmi",),
    readers=(MTHREADS_GMI,),
    visibility_variable="MUSA_VISIBLE_DEVICES",
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
