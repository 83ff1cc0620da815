"""`npu-smi info -t info-vnpu -i N -c M`: the virtual NPUs that a chip is cut in.

    | Total number of vnpu: 2                                                       |
    |  Vnpu ID  |  Vgroup ID     |  Container ID  |  Status  |  Template Name       |
    |  100      |  0             |  ffffffffffff  |  1       |  vir02               |

The text does not say which chip it is of; the numbers do: those of physical device P begin at 100 + 16 P. The template's name
says its AI cores and, for some, its memory (`vir10_3c_16g`). Source: print functions of npu-smi in the public Ascend driver
repositories; HAMi's guide to Ascend slicing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bedplate.compute.inventory.tools.output import ToolOutput
from bedplate.core.devices import DevicePartition

_FIRST, _EACH = 100, 16
"""Number of the first virtual NPU, and how many numbers a physical device has."""
_TOTAL = re.compile(r"Total number of vnpu:\s*(\d+)")
_ROW = re.compile(r"\|?\s*(\d+)\s*\|\s*\w+\s*\|\s*\w+\s*\|\s*\d+\s*\|\s*(\w+)\s*\|?")


def is_vnpu(text: str) -> bool:
    """Whether it is such a list."""
    return _TOTAL.search(text) is not None


def read_vnpu(output: ToolOutput) -> Mapping[int, tuple[DevicePartition, ...]]:
    """The virtual NPUs by the number of their physical device.

    Raises:
        ConfigurationError: Fewer rows than the total says, or a number that no virtual NPU has; with the line.
    """
    found: dict[int, list[DevicePartition]] = {}
    total, last, count = 0, 1, 0
    for line, text in output.lines:
        if (match := _TOTAL.search(text)) is not None:
            total, last = int(match[1]), line
        elif (match := _ROW.fullmatch(text.strip())) is not None:
            number, template = int(match[1]), match[2]
            if number < _FIRST:
                raise output.refusal("not the number of a virtual NPU", line, seen=number, expected=f"{_FIRST} or more")
            memory = re.search(r"_(\d+)g$", template)
            partition = DevicePartition(
                id=str(number), profile=template, memory_bytes=int(memory[1]) * 2**30 if memory else 0, kind="vnpu"
            )
            found.setdefault((number - _FIRST) // _EACH, []).append(partition)
            last, count = line, count + 1
    if count != total:
        raise output.refusal("the list of virtual NPUs is cut off", last, seen=f"{count} rows", expected=f"{total}")
    return {physical: tuple(partitions) for physical, partitions in found.items()}
