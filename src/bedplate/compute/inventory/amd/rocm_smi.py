"""`rocm-smi … --json`: one object a card, the unit in the key.

Source: ROCm SMI documentation; outputs in the tests of public monitors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bedplate.compute.inventory.accelerator import accelerator, unless_silent
from bedplate.compute.inventory.text.boxes import pci_bus_id
from bedplate.compute.inventory.text.cards import Card, is_cards, read_cards
from bedplate.compute.inventory.tools.output import Outputs
from bedplate.compute.inventory.tools.reader import Form, ToolReader
from bedplate.core.devices import Device, DeviceAddress, DeviceUsage

if TYPE_CHECKING:
    from bedplate.compute.inventory.base import Vendor

FLAGS = (
    *("--showproductname", "--showuniqueid", "--showserial", "--showbus", "--showmeminfo", "vram", "--showuse", "--showtemp"),
    *("--showpower", "--showmaxpower", "--showtoponuma", "--json"),
)
HYGON_WORDS = re.compile(r'"[DH]CU |Hygon|C-3000|"vram Total Memory \(MiB\)"')
"""What only hy-smi prints."""


def read_rocm_smi(vendor: Vendor, outputs: Outputs) -> tuple[Device, ...]:
    """Devices from one or more outputs of rocm-smi, with whatever flags, as long as `--showmeminfo vram` is among them.

    Raises:
        ConfigurationError: Not JSON, cut off, or without the size of the memory.
    """
    return unless_silent(
        (_device(vendor, card) for card in joined_cards(outputs, is_lenient=False)),
        outputs["cards"][0],
        next_step="rocm-smi --showproductname --showmeminfo vram --json",
    )


def joined_cards(outputs: Outputs, *, is_lenient: bool) -> list[Card]:
    """The cards of several outputs, each with the values of all of them."""
    cards: dict[int, Card] = {}
    for output in outputs["cards"]:
        for card in read_cards(output, is_lenient=is_lenient):
            known = cards.get(card.index)
            values = {**card.values, **(known.values if known else {})}
            cards[card.index] = Card(output=output, index=card.index, values=values)
    return [cards[index] for index in sorted(cards)]


def _device(vendor: Vendor, card: Card) -> Device:
    memory_bytes = card.size_bytes(r"VRAM Total Memory \((\w+)\)")
    generation, node = card.text("GFX Version"), card.number(r"\(Topology\) Numa Node")
    return accelerator(
        vendor,
        card.index,
        model=(card.text("Card Series", "Device Name", "Card Model") or "GPU").removeprefix("AMD "),
        memory_bytes=memory_bytes,
        generation=generation,
        features=(*((generation,) if generation else ()), *vendor.precisions.get(generation, ())),
        address=DeviceAddress(
            pci_bus_id=pci_bus_id(card.text("PCI Bus")),
            uuid=card.text("Unique ID"),
            serial=card.text("Serial Number"),
            numa_node=None if node is None or node < 0 else int(node),
            cdi=f"{vendor.cdi_kind}={card.index}",
        ),
        usage=DeviceUsage(
            utilisation_frac=card.fraction(r"GPU use \(%\)"),
            memory_used_bytes=card.size_bytes(r"VRAM Total Used Memory \((\w+)\)"),
            temperature_c=card.number(r"Temperature \(Sensor junction\) \(C\)", r"Temperature \(Sensor edge\) \(C\)"),
            power_w=card.number(
                r"Current Socket Graphics Package Power \(W\)",
                r"Average Graphics Package Power \(W\)",
                r".*Graphics Package Power \(W\)",
            ),
            power_limit_w=card.number(r"Max Graphics Package Power \(W\)"),
        ),
    )


ROCM_SMI = ToolReader(
    tool="rocm-smi",
    other_paths=("/opt/rocm/bin/rocm-smi",),
    forms=(
        Form(
            name="cards",
            command=FLAGS,
            matches=lambda text: is_cards(text) and HYGON_WORDS.search(text) is None,
            is_optional=False,
        ),
    ),
    read=read_rocm_smi,
)
