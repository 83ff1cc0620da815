"""Boxed tables with two or three lines a device, as `nvidia-smi` prints without arguments, and its kin.

    | GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
    | Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
    |=========================================+========================+======================|
    |   0  NVIDIA H100 80GB HBM3          On  |   00000000:19:00.0 Off |                    0 |
    | N/A   33C    P0             70W / 700W  |   1024MiB / 81559MiB   |      0%      Default |

The order of the columns changes between releases and vendors; their units do not, so values are found by unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import DeviceUsage

_BUS = re.compile(r"\b([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-9a-fA-F])\b")
_MEMORY = re.compile(r"(\d+|N/A)\s*(?:MiB|MB)?\s*/\s*(\d+)\s*(MiB|MB|GiB)")
_POWER = re.compile(r"(\d+(?:\.\d+)?)\s*W(?:\s*/\s*(\d+(?:\.\d+)?)\s*W)?")
_TEMPERATURE = re.compile(r"\b(\d+)\s*C\b")
_PERCENT = re.compile(r"(\d+)\s*%")
_FIRST = re.compile(r"(\d+)\s+(.*?)(?:\s+(?:On|Off|N/A|Enabled|Disabled))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedDevice:
    """The rows of one device."""

    index: int
    name: str
    line: int
    """Of its first row."""
    cells: tuple[tuple[str, ...], ...]
    """Of all its rows."""
    pci_bus_id: str
    memory_total_bytes: int
    """0 where its row does not say."""
    usage: DeviceUsage


def read_boxes(
    output: ToolOutput, first_cell: Callable[[str], tuple[int, str] | None] | None = None
) -> tuple[BoxedDevice, ...]:
    """The devices of the table; what follows it, such as slices and processes, is left out.

    Args:
        output: The table.
        first_cell: Index and name from the first cell of a device, None where it is no device; by default `0  Name  On` in a
            row with a bus id.

    Raises:
        ConfigurationError: A device whose rows end too early, or no device at all.
    """
    groups: list[list[tuple[int, tuple[str, ...]]]] = []
    for number, cells in _rows(output):
        if (first_cell or _BUS.search(" ".join(cells))) and (first_cell or _index_and_name)(cells[0]) is not None:
            groups.append([])
        if groups:
            groups[-1].append((number, cells))
    if not groups:
        raise output.refusal(
            "there is no device in the table", seen="no row that begins with its number", expected="two rows a device"
        )
    devices = tuple(_device(output, group, first_cell or _index_and_name) for group in groups)
    check_closed(output, groups[-1][-1][0])
    return devices


def check_closed(output: ToolOutput, last_row: int, rule: str = "+-") -> None:
    """Raise ConfigurationError unless a rule, or the list of processes, follows the last row: else the table is cut off.

    Args:
        output: The table.
        last_row: Number of the last line that was read.
        rule: How the rule begins.
    """
    lines = [(number, text.strip()) for number, text in output.lines]
    rest = [text for number, text in lines if number > last_row]
    has_rules = any(text.startswith("+") for _, text in lines)  # excerpts in reports may have none
    if has_rules and not any((text.startswith(rule) and text.endswith("+")) or "Process" in text for text in rest):
        raise output.refusal("the table is cut off", last_row, seen="no rule after this row", expected=f"{rule}…+")


def _rows(output: ToolOutput) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, line in output.lines:
        text = line.strip()
        if re.match(r"\|\s*(Process(es)?|MIG devices)\b", text):
            return
        if text.startswith("|") and not set(text) <= set("|-=+ "):
            if not text.endswith("|"):
                raise output.refusal("a row of the table is cut off", number, seen=repr(text[-60:]), expected="a closing |")
            yield number, tuple(cell.strip() for cell in text.strip("|").split("|"))


def _index_and_name(cell: str) -> tuple[int, str] | None:
    match = _FIRST.fullmatch(cell)
    return None if match is None else (int(match[1]), match[2].strip())


def _device(
    output: ToolOutput,
    group: list[tuple[int, tuple[str, ...]]],
    first_cell: Callable[[str], tuple[int, str] | None],
) -> BoxedDevice:
    (line, first), rest = group[0], [cells for _, cells in group[1:]]
    index, name = first_cell(first[0]) or (0, "")
    readings = " | ".join(cell for cells in rest for cell in cells)
    memory = _MEMORY.search(readings)
    if memory is None and not rest:
        raise output.refusal(
            f"the table ends before the second row of device {index}", group[-1][0], expected="a row with its memory"
        )
    unit = 2**30 if memory and memory[3] == "GiB" else 2**20
    power, temperature = _POWER.search(readings), _TEMPERATURE.search(readings)
    # The fan is a percentage too: it stands first in the first cell, the utilisation of the device in the last one.
    percent = _PERCENT.search(rest[0][-1]) or _PERCENT.search(first[-1])
    return BoxedDevice(
        index=index,
        name=name,
        line=line,
        cells=(first, *rest),
        pci_bus_id=pci_bus_id(" ".join(first)),
        memory_total_bytes=int(memory[2]) * unit if memory else 0,
        usage=DeviceUsage(
            utilisation_frac=int(percent[1]) / 100 if percent else None,
            memory_used_bytes=int(memory[1]) * unit if memory and memory[1].isdigit() else None,
            temperature_c=float(temperature[1]) if temperature else None,
            power_w=float(power[1]) if power else None,
            power_limit_w=float(power[2]) if power and power[2] else None,
        ),
    )


def pci_bus_id(text: str) -> str:
    """`00000000:C1:00.0` -> `0000:c1:00.0`, as the kernel writes it; empty where there is none."""
    match = _BUS.search(text)
    return "" if match is None else f"{int(match[1], 16):04x}:{match[2]}:{match[3]}.{match[4]}".lower()
