"""What is known of one Ascend chip (die) while the outputs of npu-smi are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Chip:
    """One row pair of the table, completed by the other outputs; None: nobody said."""

    card: int
    """`NPU ID`: the card or module."""
    chip: int
    """`Chip ID`: its place on the card."""
    name: str
    line: int
    """Of the output that named it first."""
    physical: int | None = None
    """`Phy-ID`."""
    logical: int | None = None
    """`Chip Logic ID` or `Device`: what the runtime counts."""
    file_number: int | None = None
    """N of /dev/davinciN on the host: the physical id, and the logical one where the layout has no physical ids."""
    health: tuple[str, ...] = ()
    """Words and codes; `OK` is none of them."""
    is_health_asked: bool = False
    pci_bus_id: str = ""
    serial: str = ""
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilisation_frac: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


Chips = dict[tuple[int, int], Chip]
"""By card and chip."""

GENERATIONS: Mapping[str, str] = {
    "310P": "Ascend 310P",
    "310": "Ascend 310",
    "910B": "Ascend 910B",
    "910_93": "Ascend 910C",
    "910": "Ascend 910",
    "950": "Ascend 950",
}
"""Beginning of a chip's name, without `Ascend` -> its generation; the first that fits."""


def short_name(name: str) -> str:
    """`Ascend910B3`, `Ascend 910B3`, `910B3` -> `910B3`."""
    return name.removeprefix("Ascend").strip()


def generation_of(name: str, *, is_two_chip_910: bool) -> str:
    """Its generation; a plain `Ascend910` in the layout with physical ids is a 910C (A3)."""
    if short_name(name) == "910" and is_two_chip_910:
        return "Ascend 910C"
    return next((generation for start, generation in GENERATIONS.items() if short_name(name).startswith(start)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Values of one chip in a `-t` output, by key."""

    card: int
    chip: int
    line: int
    values: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Key -> value and line."""
