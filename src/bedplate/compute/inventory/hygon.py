"""Hygon DCUs, by `hy-smi --json`: a descendant of rocm-smi, with keys of its own and now and then a comma forgotten.

Devices are named `dcu:N`. Source: outputs in the tests of public monitors that met both (keys `DCU use (%)`, `HCU use (%)`,
`vram Total Memory (MiB)`), and hy-smi's own flags.
"""

from __future__ import annotations

from bedplate.compute.inventory.accelerator import accelerator, unless_silent
from bedplate.compute.inventory.amd.rocm_smi import HYGON_WORDS, joined_cards
from bedplate.compute.inventory.base import DeviceProbe, Vendor
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.cards import Card, is_cards
from bedplate.compute.inventory.tools.output import Outputs
from bedplate.compute.inventory.tools.probe import ToolProbe
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceUsage

_FLAGS = (
    *("--showid", "--showproductname", "--showuniqueid", "--showbus", "--showmeminfo", "vram", "--showuse", "--showtemp"),
    *("--showpower", "--showmaxpower", "--json"),
)


def read_hy_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from one or more outputs of hy-smi, as long as `--showmeminfo vram` is among their flags.

    Raises:
        ConfigurationError: Not JSON even with commas forgiven, cut off, or without the size of the memory.
    """
    return unless_silent(
        (_device(vendor, card) for card in joined_cards(outputs, is_lenient=True)),
        outputs["cards"][0],
        next_step="hy-smi --showproductname --showmeminfo vram --json",
    )


def _device(vendor: Vendor, card: Card) -> Device:
    memory_bytes = card.size_bytes(r"vram Total Memory \((\w+)\)")
    return accelerator(
        vendor,
        card.index,
        model=card.text("Card Series", "Card Model") or "DCU",
        memory_bytes=memory_bytes,
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(card.text("PCI Bus")), uuid=card.text("Unique ID"), serial=card.text("Serial Number")
        ),
        usage=DeviceUsage(
            utilisation_frac=card.fraction(r"[DHG][CP]U use \(%\)"),
            memory_used_bytes=card.size_bytes(r"vram Total Used Memory \((\w+)\)"),
            temperature_c=card.number(
                r"Temperature \(Sensor junction\) \(C\)",
                r"Temperature \(Sensor core\) \(C\)",
                r"Temperature \(Sensor edge\) \(C\)",
            ),
            power_w=card.number(r"Average Graphics Package Power \(W\)"),
            power_limit_w=card.number(r"Max Graphics Package Power \(W\)"),
        ),
    )


HY_SMI = ToolReader(
    tool="hy-smi",
    other_paths=("/opt/hyhal/bin/hy-smi",),
    forms=(
        Form(
            name="cards",
            command=_FLAGS,
            matches=is_cards,
            is_certain=lambda text: HYGON_WORDS.search(text) is not None,
            is_optional=False,
        ),
    ),
    read=read_hy_smi,
)

VENDOR = Vendor(
    name="hygon",
    title="Hygon DCU",
    device_prefix="dcu",
    probe="bedplate.compute.inventory.hygon:probe",
    device_files=("dev/mkfd",),
    tools=("hy-smi",),
    readers=(HY_SMI,),
    visibility_variable="HIP_VISIBLE_DEVICES",
)


def probe() -> DeviceProbe:
    """The probe of these devices."""
    return ToolProbe(VENDOR)
