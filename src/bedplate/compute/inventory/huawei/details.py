"""`npu-smi info -t usages|temp|power|health|board|common -i N`: values of one card, chip by chip.

        NPU ID                         : 0
        Chip Count                     : 1

        HBM Capacity(MB)               : 65536
        HBM Usage Rate(%)              : 3
        Aicore Usage Rate(%)           : 55
        Chip ID                        : 0

A chip's id stands below its values in most of these outputs, above them in `common`; what belongs to a controller ends in
`Chip Name : MCU`. Source: npu-exporter's and mindx tests, and the print functions of npu-smi in the public Ascend driver
repositories.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bedplate.compute.inventory.huawei.chips import Chip, Reading
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import ToolOutput

_PAIR = re.compile(r"\s*(\S.*?)\s*:\s+(.*\S)\s*")
_CARD_KEYS = frozenset({"NPU ID", "Chip ID", "Chip Count", "Chip Name", "Product Name", "Slot ID", "Total Count"})
_CONTROLLERS = frozenset({"mcu", "3559"})
UTILISATION = ("NPU Utilization(%)", "Aicore Usage Rate(%)")
TEMPERATURE = ("NPU Temperature (C)", "NPU Temperature(C)", "Temperature (C)", "Temperature(C)")
POWER = ("NPU Real-time Power(W)", "Power Dissipation(W)")
HEALTH = ("Health Status", "Health")


def is_details(text: str) -> bool:
    """Whether it is the output of one of these commands."""
    return re.search(r"^\s*NPU ID\s+: \d+", text, re.MULTILINE) is not None


def read_details(output: ToolOutput) -> Iterator[Reading]:
    """One reading a chip.

    Raises:
        ConfigurationError: An id that is no number.
    """
    card = 0
    for block in _blocks(output):
        if block[0][1] == "NPU ID":
            card = required_whole(block[0][2], output, block[0][0], "NPU ID")
        yield from _readings(output, card, block)


_Pair = tuple[int, str, str]
"""Line, key and value."""


def _blocks(output: ToolOutput) -> Iterator[list[_Pair]]:
    """Pairs up to the next blank line or the next card."""
    block: list[_Pair] = []
    for line, text in [*output.lines, (0, "")]:
        match = _PAIR.fullmatch(text)
        if block and (not text.strip() or (match is not None and match[1] == "NPU ID")):
            yield block
            block = []
        if match is not None:
            block.append((line, match[1], match[2]))


def _readings(output: ToolOutput, card: int, block: list[_Pair]) -> Iterator[Reading]:
    if any(key == "Chip Name" and value.lower() in _CONTROLLERS for _, key, value in block):
        return
    ids = [number_ for number_, (_, key, _) in enumerate(block) if key == "Chip ID"]
    values = {key: (value, line) for line, key, value in block if key not in _CARD_KEYS}
    if len(ids) <= 1:
        chip = required_whole(block[ids[0]][2], output, block[ids[0]][0], "Chip ID") if ids else 0
        if values:
            yield Reading(card=card, chip=chip, line=block[0][0], values=values)
        return
    # Several chips without a blank line between: the id stands above its values if nothing is above the first one.
    is_above = not any(key not in _CARD_KEYS for _, key, _ in block[: ids[0]])
    ends = [*ids[1:], len(block)] if is_above else [at + 1 for at in ids]
    begins = ids if is_above else [0, *ends[:-1]]
    for begin, end in zip(begins, ends, strict=True):
        yield from _readings(output, card, block[begin:end])


def add_reading(output: ToolOutput, chip: Chip, reading: Reading) -> None:
    """Complete a chip by what one output says of it; what it says later wins over the table."""
    _add_memory(output, chip, reading)
    if busy := _first(reading, UTILISATION):
        chip.utilisation_frac = fraction(busy[0], output, busy[1], "utilisation")
    if found := _first(reading, TEMPERATURE):
        chip.temperature_c = number(found[0], output, found[1], "temperature", ("C",))
    if found := _first(reading, POWER):
        chip.power_w = number(found[0], output, found[1], "power", ("W",))
    if found := _first(reading, ("Serial Number",)):
        chip.serial = "" if is_nothing(found[0]) else found[0]
    if found := _first(reading, HEALTH):
        codes = _first(reading, ("Error Code",))
        listed = () if codes is None or is_nothing(codes[0]) else tuple(re.findall(r"[0-9A-F]{8}", codes[0].upper()))
        chip.health = (*(() if found[0] == "OK" else (found[0].capitalize(),)), *listed)
        chip.is_health_asked = True


def _add_memory(output: ToolOutput, chip: Chip, reading: Reading) -> None:
    for kind in ("HBM", "Memory", "DDR"):
        size, rate = reading.values.get(f"{kind} Capacity(MB)"), reading.values.get(f"{kind} Usage Rate(%)")
        if size is None or not (total := size_bytes(size[0], output, size[1], f"{kind} Capacity(MB)", "MB")):
            continue
        share = None if rate is None else fraction(rate[0], output, rate[1], f"{kind} Usage Rate(%)")
        if chip.memory_bytes is None:  # the table's is exact, this one is a rounded share
            chip.memory_bytes, chip.memory_used_bytes = total, None if share is None else round(total * share)
        return


def _first(reading: Reading, keys: tuple[str, ...]) -> tuple[str, int] | None:
    return next((reading.values[key] for key in keys if key in reading.values), None)
