"""`npu-smi info -m`: which card and chip is which logical and physical device.

        NPU ID                         Chip ID                        Chip Logic ID                  Chip Name
        0                              0                              0                              Ascend 910B3
        0                              1                              -                              Mcu

A3 adds a column `Chip Phy-ID`; Ascend 950 prints `NPU ID, Slot ID, Chip ID, Chip Phy-ID, Chip Name` and no logical id. Rows
without a number (controllers) are no devices. Source: print_mapping_info of npu-smi in the public Ascend driver repositories.
"""

from __future__ import annotations

import re

from bedplate.compute.inventory.huawei.chips import Chip, Chips
from bedplate.compute.inventory.text.quantities import is_nothing, required_whole
from bedplate.compute.inventory.tools.output import ToolOutput

_COLUMNS = ("NPU ID", "Slot ID", "Chip ID", "Chip Logic ID", "Chip Phy-ID", "Chip Name")
_HEADER = re.compile("|".join(re.escape(name) for name in sorted(_COLUMNS, key=len, reverse=True)))


def is_mapping(text: str) -> bool:
    """Whether it is a mapping."""
    return (
        re.search(r"^\s*NPU ID\s+(?:Slot ID\s+)?Chip ID\s+Chip (?:Logic ID|Phy-ID)\b.*Chip Name", text, re.MULTILINE)
        is not None
    )


def read_mapping(output: ToolOutput) -> Chips:
    """The chips that are devices, with their ids and nothing else.

    Raises:
        ConfigurationError: A row that is cut off, or no row; with its line.
    """
    chips, header, header_line = Chips(), list[str](), 0
    for line, text in output.lines:
        if not header:
            found = _HEADER.findall(text)
            if {"NPU ID", "Chip ID", "Chip Name"} <= set(found):
                header, header_line = found, line
            continue
        if not text.strip():
            continue
        words = text.split(maxsplit=len(header) - 1)
        if len(words) < len(header):
            raise output.refusal("a row of the mapping is cut off", line, seen=repr(text.strip()), expected=", ".join(header))
        row = dict(zip(header, words, strict=True))
        logical, physical = row.get("Chip Logic ID"), row.get("Chip Phy-ID")
        if is_nothing(logical) and is_nothing(physical):
            continue
        chip = Chip(
            card=required_whole(row["NPU ID"], output, line, "NPU ID"),
            chip=required_whole(row["Chip ID"], output, line, "Chip ID"),
            name=row["Chip Name"].strip(),
            line=line,
            logical=None if is_nothing(logical) else required_whole(logical, output, line, "Chip Logic ID"),
            physical=None if is_nothing(physical) else required_whole(physical, output, line, "Chip Phy-ID"),
        )
        chips[chip.card, chip.chip] = chip
    if not chips:
        raise output.refusal("the mapping ends after its header", header_line, seen="no chip")
    return chips
