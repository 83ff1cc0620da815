"""What the amdgpu driver shows of its devices in sysfs: enough to place work where no tool is installed, as in most containers.

Source: kernel documentation, GPU driver, amdgpu: mem_info_vram_total, gpu_busy_percent, hwmon.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator
from bedplate.core.devices import Device, DeviceAddress, DeviceUsage

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor


def read_sysfs(vendor: Vendor, root: Path = Path("/")) -> tuple[Device, ...]:
    """The devices of the amdgpu driver with memory of their own, in the order of their bus ids, as ROCm counts them.

    Raises:
        OSError, ValueError: The driver's files are not as documented.
    """
    folders = [folder for folder in (root / "sys/class/drm").glob("card*/device") if _driver(folder) == "amdgpu"]
    buses = {folder.resolve().name: folder for folder in folders if _number(folder / "mem_info_vram_total")}
    return tuple(_device(vendor, index, bus, buses[bus]) for index, bus in enumerate(sorted(buses)))


def _device(vendor: Vendor, index: int, bus: str, folder: Path) -> Device:
    node, busy = _number(folder / "numa_node"), _number(folder / "gpu_busy_percent")
    product, renders = folder / "product_name", sorted((folder / "drm").glob("renderD*"))
    micro_watts, limit = _sensor(folder, "power1_average", "power1_input"), _sensor(folder, "power1_cap")
    milli_celsius = _sensor(folder, "temp2_input", "temp1_input")
    return accelerator(
        vendor,
        index,
        model=product.read_text().strip().removeprefix("AMD ") if product.is_file() else _text(folder / "device"),
        memory_bytes=_number(folder / "mem_info_vram_total") or 0,
        address=DeviceAddress(
            pci_bus_id=bus,
            uuid=_text(folder / "unique_id"),
            serial=_text(folder / "serial_number"),
            numa_node=None if node is None or node < 0 else node,
            device_files=tuple(f"/dev/dri/{render.name}" for render in renders),
            cdi=f"{vendor.cdi_kind}={index}",
        ),
        usage=DeviceUsage(
            utilisation_frac=None if busy is None else busy / 100,
            memory_used_bytes=_number(folder / "mem_info_vram_used"),
            temperature_c=None if milli_celsius is None else milli_celsius / 1000,
            power_w=None if micro_watts is None else micro_watts / 1e6,
            power_limit_w=None if limit is None else limit / 1e6,
        ),
    )


def _driver(folder: Path) -> str:
    return (folder / "driver").resolve().name


def _text(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text else None


def _sensor(folder: Path, *names: str) -> int | None:
    files = (file for name in names for file in sorted((folder / "hwmon").glob(f"hwmon*/{name}")))
    return next((value for file in files if (value := _number(file)) is not None), None)
