"""Topology matrices, as `nvidia-smi topo -m` and its kin print them.

        GPU0	GPU1	NIC0	CPU Affinity	NUMA Affinity
    GPU0	X	NV18	PIX	0-31	0
    GPU1	NV18	X	SYS	32-63	1

Columns are separated by tabs or by two blanks and more. Which columns are devices is the reader's affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bedplate.compute.inventory.cpu import parse_core_list
from bedplate.compute.inventory.text.quantities import is_nothing
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import Device, DeviceLink, Proximity

PCIE_WORDS = {
    "PIX": Proximity.PCIE_SWITCH,
    "PXB": Proximity.PCIE_SWITCHES,
    "PHB": Proximity.HOST_BRIDGE,
    "NODE": Proximity.NUMA_NODE,
    "SYS": Proximity.SYSTEM,
}
"""The words that all of these tools share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One device of the matrix."""

    name: str
    line: int
    words: Mapping[str, str]
    """Name of another column -> the word between them."""
    cores: tuple[int, ...] = ()
    numa_node: int | None = None


def read_matrix(output: ToolOutput, is_device: Callable[[str], bool]) -> tuple[MatrixRow, ...]:
    """The rows of the devices, with what is said of each pair of devices.

    Raises:
        ConfigurationError: No header, a row that is too short, or a device of the header without a row: the text is cut off.
    """
    header: list[str] = []
    header_line, rows = 0, list[MatrixRow]()
    for number, line in output.lines:
        columns = _columns(line)
        if not header:
            if columns and is_device(columns[0]) and not any(word == "X" for word in columns):
                header, header_line = columns, number
            continue
        if not columns or not is_device(columns[0]) or len(columns) < 2:
            continue
        rows.append(_row(output, number, header, columns))
    devices = [name for name in header if is_device(name)]
    if not devices:
        raise output.refusal(
            "there is no topology matrix", seen="no header line", expected="a line with the names of the devices"
        )
    if missing := [name for name in devices if name not in {row.name for row in rows}]:
        last = rows[-1].line if rows else header_line
        raise output.refusal(
            f"the matrix ends before the row of {missing[0]}", last, seen=f"{len(rows)} of {len(devices)} rows"
        )
    return tuple(replace(row, words={name: row.words[name] for name in devices if name != row.name}) for row in rows)


def _row(output: ToolOutput, line: int, header: list[str], columns: list[str]) -> MatrixRow:
    num_words = sum(1 for name in header if "Affinity" not in name and "NUMA ID" not in name)
    if len(columns) <= num_words:
        raise output.refusal(
            f"the row of {columns[0]} is cut off", line, seen=f"{len(columns) - 1} values", expected=f"{num_words} or more"
        )
    values = dict(zip(header, columns[1:], strict=False))
    affinity = next((values[name] for name in values if "CPU Affinity" in name), "")
    node = next((values[name] for name in values if name in ("NUMA Affinity", "Node Affinity")), "")
    try:
        cores = () if is_nothing(affinity) else tuple(sorted(parse_core_list(affinity)))
        numa_node = int(node) if node.strip().isdigit() else None
    except ValueError as error:
        raise output.refusal(f"not a list of cores: {affinity!r}", line, expected="0-31,64-95") from error
    return MatrixRow(name=columns[0], line=line, words=values, cores=cores, numa_node=numa_node)


def _columns(line: str) -> list[str]:
    text = line.strip()
    parts = text.split("\t") if "\t" in text else re.split(r"\s{2,}", text)
    return [part.strip() for part in parts] if text else []


LinkOf = Callable[[str, str], tuple[Proximity, DeviceLink | None] | None]
"""What a word of a vendor's own means, given the id at the other end; None: not one of its words."""


def with_topology(output: ToolOutput, devices: Mapping[str, Device], pattern: str, link_of: LinkOf) -> dict[str, Device]:
    """The devices with the distances, links, near cores and NUMA nodes that a matrix says.

    Args:
        output: The matrix.
        devices: Name in the matrix -> device; two names of one device are fine. Pairs with devices that are not here, or
            of which the tool says that it does not know, are left out.
        pattern: What a device's name looks like in the matrix: `GPU\\d+`.
        link_of: The vendor's words, beside `PCIE_WORDS`.

    Raises:
        ConfigurationError: As `read_matrix`; a row of a device that is not here, or a word that nobody knows.
    """
    changed = dict(devices)
    for row in read_matrix(output, lambda name: re.fullmatch(pattern, name) is not None):
        if row.name not in devices:
            raise output.refusal(f"{row.name} is in none of the other outputs", row.line, expected=", ".join(devices))
        ids = {name: device.id for name, device in devices.items()}
        changed[row.name] = _with_row(output, changed[row.name], row, ids, link_of)
    return changed


def _with_row(output: ToolOutput, device: Device, row: MatrixRow, ids: Mapping[str, str], link_of: LinkOf) -> Device:
    distances, links = dict[str, Proximity](), list[DeviceLink]()
    for name, word in row.words.items():
        if (other := ids.get(name)) is None or is_nothing(word):
            continue
        meaning = (PCIE_WORDS[word], None) if word in PCIE_WORDS else link_of(word, other)
        if meaning is None:
            raise output.refusal(
                f"'{word}' is not a known kind of connection",
                row.line,
                seen=f"{row.name} to {name}",
                expected=", ".join(PCIE_WORDS),
            )
        distances[other] = meaning[0]
        links += [] if meaning[1] is None else [meaning[1]]
    address = device.address if row.numa_node is None else replace(device.address, numa_node=row.numa_node)
    return replace(device, distances=distances, links=tuple(links), cores=row.cores or device.cores, address=address)
