"""`npu-smi info`: the table, two rows a chip, in all its layouts.

    | NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
    | Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
    +===========================+===============+====================================================+
    | 0     Ascend910           | OK            | 178.7       37                0    / 0             |
    | 0     0                   | 0000:9D:00.0  | 0           0    / 0          3419 / 65536         |

310P prints `Device` (the logical id) in place of `Phy-ID` and no HBM, 910B neither, Ascend 950 a cell each for id and name
and no chip row ids; older releases have no huge pages. So the header says what the columns are. Used memory of five digits
touches the slash: `59356/ 65536`. A rule of `=` closes every card. Of a card with two chips only the first shows power, that
of both.

Source: the print functions of npu-smi in the public Ascend driver repositories, outputs in issue reports of vllm-ascend, and
the table's regular expressions in Ascend's inference engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bedplate.compute.inventory.huawei.chips import Chip, Chips
from bedplate.compute.inventory.text.boxes import check_closed, pci_bus_id
from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import ToolOutput

_LABEL = re.compile(r"[A-Za-z][\w-]*(?: [A-Z][\w-]*)*\([^)]+\)")
_PROCESSES = re.compile(r"\|\s*NPU(?:\s+ID|\s+Chip)\s*\|\s*Process id", re.IGNORECASE)


def is_info_table(text: str) -> bool:
    """Whether it is the table, whole or cut off."""
    return re.search(r"^\s*\|\s*NPU(?: ID \|)?\s+Name\s*\|\s*Health", text, re.MULTILINE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    first: tuple[str, ...]
    """Labels of the readings in a chip's first row."""
    second: tuple[str, ...]
    has_id_cell: bool
    """Ascend 950: the id has a cell of its own, and the second row begins with two empty cells."""
    second_id: str = ""
    """`Phy-ID` or `Device`: what the second number of the second row is."""


def read_info_table(output: ToolOutput) -> Chips:
    """The chips of the table; its list of processes is left out.

    Raises:
        ConfigurationError: No header, a row that is cut off, or a chip whose second row is missing; with its line.
    """
    rows = list(_rows(output))
    if len(rows) < 2:
        raise output.refusal("the table ends in its header", rows[-1][0] if rows else 1, expected="two rows a chip")
    header = _header(rows[0][1], rows[1][1])
    body, chips = rows[2:], Chips()
    if not body:
        raise output.refusal("the table ends after its header", rows[1][0], seen="no chip", expected="two rows a chip")
    ordinals: dict[int, int] = {}
    for (line, first), second in zip(body[::2], [*body[1::2], *[None] * (len(body) % 2)], strict=True):
        if second is None:
            raise output.refusal("the table ends before the second row of a chip", line, seen=" | ".join(first))
        chip = _chip(output, header, (line, first), second, ordinals)
        chips[chip.card, chip.chip] = chip
    check_closed(output, body[-1][0], "+=")
    return chips


def _rows(output: ToolOutput) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Rows with several cells up to the processes; the title row has one."""
    has_begun = False
    for line, text in output.lines:
        stripped = text.strip()
        if _PROCESSES.match(stripped):
            return
        has_begun = has_begun or re.match(r"\|\s*NPU\b", stripped) is not None
        if not has_begun or not stripped.startswith("|"):
            continue
        if not stripped.endswith("|"):
            raise output.refusal("a row of the table is cut off", line, seen=repr(stripped[-60:]), expected="a closing |")
        cells = tuple(cell.strip() for cell in stripped.strip("|").split("|"))
        if len(cells) > 1:
            yield line, cells


def _header(first: tuple[str, ...], second: tuple[str, ...]) -> _Header:
    has_id_cell = len(first) == 4
    ids = second[0].split()
    return _Header(
        first=tuple(_LABEL.findall(first[-1])),
        second=tuple(_LABEL.findall(second[-1])),
        has_id_cell=has_id_cell,
        second_id=ids[1] if len(ids) > 1 else "",
    )


def _chip(
    output: ToolOutput,
    header: _Header,
    first: tuple[int, tuple[str, ...]],
    second: tuple[int, tuple[str, ...]],
    ordinals: dict[int, int],
) -> Chip:
    (line, cells), (second_line, second_cells) = first, second
    num_cells = 4 if header.has_id_cell else 3
    if (
        len(cells) != num_cells
        or len(second_cells) != num_cells
        or (not pci_bus_id(second_cells[-2]) and not is_nothing(second_cells[-2]))
    ):
        raise output.refusal(
            "not the two rows of a chip", second_line, seen=" | ".join(second_cells), expected="the row with its bus id"
        )
    card_text, name = (cells[0], cells[1]) if header.has_id_cell else ([*cells[0].split(maxsplit=1), ""])[:2]
    card = required_whole(card_text, output, line, "NPU id")
    ids = [] if header.has_id_cell else second_cells[0].split()
    chip = Chip(
        card=card,
        chip=required_whole(ids[0], output, second_line, "chip id") if ids else ordinals.get(card, 0),
        name=name.strip(),
        line=line,
        health=() if cells[-2] == "OK" else (_health_word(cells[-2]),),
        is_health_asked=True,
        pci_bus_id=pci_bus_id(second_cells[-2]),
    )
    ordinals[card] = ordinals.get(card, 0) + 1
    other = required_whole(ids[1], output, second_line, header.second_id) if len(ids) > 1 else None
    chip.physical, chip.logical = (other, None) if header.second_id == "Phy-ID" else (None, other)
    readings = {
        **_readings(output, line, header.first, cells[-1]),
        **_readings(output, second_line, header.second, second_cells[-1]),
    }
    _fill(output, second_line, chip, readings)
    return chip


def _health_word(text: str) -> str:
    """`WARNING` -> `Warning`; a device that is offline prints UNKNOWN or NA."""
    return "UNKNOWN" if is_nothing(text) else text.capitalize()


def _readings(output: ToolOutput, line: int, labels: tuple[str, ...], cell: str) -> Mapping[str, str]:
    values = re.sub(r"\s*/\s*", "/", cell).split()
    if len(values) != len(labels):
        raise output.refusal(
            "the row has other columns than the header", line, seen=f"{len(values)} values", expected=", ".join(labels)
        )
    return dict(zip(labels, values, strict=True))


def _fill(output: ToolOutput, line: int, chip: Chip, readings: Mapping[str, str]) -> None:
    chip.power_w = number(readings.get("Power(W)"), output, line, "Power(W)")
    chip.temperature_c = number(readings.get("Temp(C)"), output, line, "Temp(C)")
    busy = readings.get("AICore(%)", readings.get("NPU Util(%)"))
    chip.utilisation_frac = fraction(busy, output, line, "AICore(%)")
    for label in ("HBM-Usage(MB)", "Memory-Usage(MB)"):  # chips with HBM print 0 / 0 for the other one
        used, _, total = readings.get(label, "NA/NA").partition("/")
        if size := size_bytes(total, output, line, label, "MB"):
            chip.memory_bytes, chip.memory_used_bytes = size, size_bytes(used, output, line, label, "MB")
            return
