"""Tables that `--query-gpu=… --format=csv` prints: a header with units in brackets, a row a device.

    index, name, memory.total [MiB], power.draw [W]
    0, NVIDIA H100 80GB HBM3, 81559 MiB, 71.32 W

With `noheader` nothing says which column is which, so that form is not read; `nounits` is: the unit is in the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bedplate.compute.inventory.text.quantities import fraction, is_nothing, number, required_whole, size_bytes
from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import DeviceUsage

_NAME = re.compile(r"[a-z][a-z0-9_.]*")
_TELLING = frozenset(
    {"index", "uuid", "gpu_uuid", "memory.total", "memory.used", "utilization.gpu", "pci.bus_id", "gpu_bus_id"}
)
_BARE, _WITH_UNIT = re.compile(r"[\d.]+\s*"), re.compile(r"[\d.]+ (?:MiB|W|%)\s*")
_COLUMN = re.compile(r"(.*?)(?:\s*\[(.*)\])?")


def is_query(text: str) -> bool:
    """Whether it begins with the header of such a query."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    names = [part.split("[")[0].strip() for part in head.split(",")]
    return all(_NAME.fullmatch(name) for name in names) and not _TELLING.isdisjoint(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRow:
    """One device; a column that was not asked for, or that the device cannot say, is None."""

    output: ToolOutput
    line: int
    values: Mapping[str, str]
    units: Mapping[str, str]

    def text(self, *names: str) -> str:
        """The first of the columns that there is; empty where it says nothing."""
        found = next((self.values[name] for name in names if name in self.values), "")
        return "" if is_nothing(found) else found.strip()

    def index(self) -> int:
        """Its number."""
        return required_whole(self.values.get("index"), self.output, self.line, "index")

    def size_bytes(self, *names: str) -> int | None:
        """A size of memory."""
        name = self._name(names)
        return size_bytes(self.values.get(name), self.output, self.line, name, self.units.get(name) or "MiB")

    def number(self, *names: str) -> float | None:
        """Watts, degrees, counts."""
        name = self._name(names)
        return number(self.values.get(name), self.output, self.line, name, ("W", "C"))

    def fraction(self, *names: str) -> float | None:
        """A percentage."""
        name = self._name(names)
        return fraction(self.values.get(name), self.output, self.line, name)

    def usage(self) -> DeviceUsage:
        """What it did when it was asked."""
        return DeviceUsage(
            utilisation_frac=self.fraction("utilization.gpu"),
            memory_used_bytes=self.size_bytes("memory.used"),
            temperature_c=self.number("temperature.gpu"),
            power_w=self.number("power.draw", "gpu.power.draw", "power.draw.instant"),
            power_limit_w=self.number("power.limit", "gpu.power.limit", "enforced.power.limit"),
        )

    def _name(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if name in self.values), names[0])


def read_query(output: ToolOutput) -> Iterator[QueryRow]:
    """The rows.

    Raises:
        ConfigurationError: No index column, no row, or a row with fewer or more values than the header; with its line.
    """
    lines = [(line, text) for line, text in output.lines if text.strip()]
    columns = [_COLUMN.fullmatch(name.strip()) for name in next(csv.reader([lines[0][1]], skipinitialspace=True))]
    names = [match[1] for match in columns if match]
    units = {match[1]: match[2] or "" for match in columns if match}
    for needed in ("index", "memory.total"):
        if needed not in names:
            raise output.refusal(
                f"there is no column '{needed}'", lines[0][0], seen=", ".join(names), expected="--query-gpu=index,…"
            )
    if len(lines) == 1:
        raise output.refusal("the table ends after its header", lines[0][0], seen="no device")
    rows = [(line, next(csv.reader([text], skipinitialspace=True))) for line, text in lines[1:]]
    has_units = any(_WITH_UNIT.fullmatch(value) for _, values in rows for value in values)
    for line, values in rows:
        if len(values) != len(names):
            raise output.refusal(
                "a row has other columns than the header",
                line,
                seen=f"{len(values)} values",
                expected=f"{len(names)}: {', '.join(names)}",
            )
        for name, value in zip(names, values, strict=True):
            if has_units and units[name] and _BARE.fullmatch(value):
                raise output.refusal("the row is cut off", line, seen=f"{name}: {value!r}", expected=f"{value} {units[name]}")
        yield QueryRow(output=output, line=line, values=dict(zip(names, values, strict=True)), units=units)
