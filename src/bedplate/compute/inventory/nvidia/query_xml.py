"""`nvidia-smi -q -x`: everything the driver knows, as XML.

Read: product_name, product_architecture, uuid, serial, minor_number, gpu_module_id, pci bus, fb_memory_usage, utilization,
temperature, power, ecc_errors, remapped_rows, MIG devices. Power readings moved from `power_readings` to `gpu_power_readings`
in driver 530, and `power_limit` became `current_power_limit`. Source: nvsmi_device schema, and outputs in the tests of gpud
and DCGM's exporters.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, coded_health
from bedplate.compute.inventory.nvidia.lost import codes_in
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, size_bytes, whole
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device, DeviceAddress, DeviceHealth, DevicePartition, DeviceUsage

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

_UNCORRECTED = ("dram_uncorrectable", "sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded", "total")


def is_query_xml(text: str) -> bool:
    """Whether it is such a document, whole or cut off."""
    return "<nvidia_smi_log>" in text


def read_query_xml(vendor: Vendor, output: ToolOutput) -> tuple[Device, ...]:
    """The GPUs of the document.

    Raises:
        ConfigurationError: It ends too early or is not well formed, with the line.
    """
    text = output.text[output.text.index("<nvidia_smi_log>") :]
    skipped = output.text[: output.text.index("<nvidia_smi_log>")].count("\n")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (what could define entities stood before the root and is cut off)
    except ElementTree.ParseError as error:
        is_cut_off = "</nvidia_smi_log>" not in text
        what = "the XML ends too early: the output is cut off" if is_cut_off else f"not XML: {error}"
        raise output.refusal(what, skipped + error.position[0], expected="a closing </nvidia_smi_log>") from error
    return tuple(_device(vendor, _Gpu(output=output, element=gpu), index) for index, gpu in enumerate(root.iter("gpu")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gpu:
    output: ToolOutput
    element: ElementTree.Element

    def text(self, *paths: str) -> str:
        found = (self.element.findtext(path) for path in paths)
        return next((value.strip() for value in found if value is not None and not is_nothing(value)), "")

    def size(self, path: str) -> int | None:
        return size_bytes(self.text(path), self.output, None, path)

    def number(self, unit: str, *paths: str) -> float | None:
        return number(self.text(*paths), self.output, None, paths[0], (unit,))


def _device(vendor: Vendor, gpu: _Gpu, index: int) -> Device:
    uuid, name = gpu.text("uuid"), gpu.text("product_name")
    memory_bytes = gpu.size("fb_memory_usage/total")
    minor = gpu.text("minor_number")
    device = accelerator(
        vendor,
        index,
        model=name.removeprefix("NVIDIA "),
        memory_bytes=memory_bytes,
        word=uuid or None,
        generation=gpu.text("product_architecture"),
        health=_health(vendor, gpu),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(gpu.text("pci/pci_bus_id") or gpu.element.get("id", "")),
            uuid=uuid,
            serial=gpu.text("serial"),
            device_files=(f"/dev/nvidia{minor}",) if minor.isdigit() else (),
            cdi=f"{vendor.cdi_kind}={uuid}" if uuid else "",
        ),
        usage=DeviceUsage(
            utilisation_frac=fraction(gpu.text("utilization/gpu_util"), gpu.output, None, "utilization/gpu_util"),
            memory_used_bytes=gpu.size("fb_memory_usage/used"),
            temperature_c=gpu.number("C", "temperature/gpu_temp"),
            power_w=gpu.number(
                "W",
                "gpu_power_readings/instant_power_draw",
                "gpu_power_readings/power_draw",
                "power_readings/power_draw",
            ),
            power_limit_w=gpu.number(
                "W",
                "gpu_power_readings/current_power_limit",
                "gpu_power_readings/power_limit",
                "power_readings/enforced_power_limit",
                "power_readings/power_limit",
            ),
        ),
    )
    return replace(device, partitions=tuple(_partitions(gpu)))


def _health(vendor: Vendor, gpu: _Gpu) -> DeviceHealth:
    """Uncorrectable errors since the last reset, and memory rows that wait for a remap or could not be remapped."""
    counts = [whole(gpu.text(f"ecc_errors/volatile/{name}"), gpu.output, None, name) for name in _UNCORRECTED]
    counts += [whole(gpu.text("ecc_errors/volatile/double_bit/total"), gpu.output, None, "double_bit")]
    known = [count for count in counts if count is not None]
    codes = ["Xid 48"] if any(known) else []
    codes += ["Xid 63"] if gpu.text("remapped_rows/remapped_row_pending").lower() == "yes" else []
    codes += codes_in(element.text for element in gpu.element.iter())
    codes += [f"Recovery Action {action}" for action in [gpu.text("gpu_recovery_action")] if action]
    codes += ["Xid 64"] if gpu.text("remapped_rows/remapped_row_failure").lower() == "yes" else []
    return coded_health(vendor, codes, is_asked=bool(known) or bool(gpu.text("remapped_rows/remapped_row_pending")))


def _partitions(gpu: _Gpu) -> Iterator[DevicePartition]:
    for item in gpu.element.iterfind("mig_devices/mig_device"):
        slice_ = _Gpu(output=gpu.output, element=item)
        memory = slice_.size("fb_memory_usage/total") or 0
        engines = slice_.text("device_attributes/shared/multiprocessor_count")
        instance = f"{slice_.text('gpu_instance_id')}/{slice_.text('compute_instance_id')}"
        profile = f"{engines} SMs" if engines else f"{round(memory / 2**30)}gb"
        yield DevicePartition(id=slice_.text("uuid") or instance, profile=profile, memory_bytes=memory)
