"""Quantities as vendors' tools print them: `81559 MiB`, `[N/A]`, `76.00 W`, `16x`, `41.0C`.

Memory in `kB`, `MB` and `GB` is counted in powers of two, whatever the prefix says: an Ascend 910B with 64 GiB prints
`65536 MB`, an MI300X with 192 GiB `196592 MB`. Decimal sizes come in bytes only.
"""

from __future__ import annotations

import re

from bedplate.compute.inventory.tools.output import ToolOutput

_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*([A-Za-z%°/]*)\s*")
_NOTHING = frozenset(
    (
        *("", "-", "--", "n/a", "na", "none", "null", "unknown", "unknown error", "not supported", "not available"),
        *("insufficient permissions", "requested functionality has been deprecated"),
        *("gpu is lost", "gpu requires reset", "err!"),
    )
)
"""The last three are words of a device that is down; `nvidia/lost.py` knows what they mean."""
_SIZES = {
    "b": 1,
    **dict.fromkeys(("k", "kb", "kib"), 2**10),
    **dict.fromkeys(("m", "mb", "mib"), 2**20),
    **dict.fromkeys(("g", "gb", "gib"), 2**30),
    **dict.fromkeys(("t", "tb", "tib"), 2**40),
}


def is_nothing(text: object) -> bool:
    """Whether it is one of the words for a value that is not there: `N/A`, `[Not Supported]`, `-`."""
    return text is None or str(text).strip().strip("[]").strip().lower() in _NOTHING


def number(value: object, output: ToolOutput, line: int | None, what: str, units: tuple[str, ...] = ()) -> float | None:
    """A number in one of `units`, or bare; None where it is one of the words for nothing.

    Raises:
        ConfigurationError: Something else; names `what` and the line.
    """
    if is_nothing(value):
        return None
    match = _NUMBER.fullmatch(str(value).strip().strip("[]"))
    if match is None or (match[2] and match[2].lower() not in [unit.lower() for unit in units]):
        raise output.refusal(
            f"not a number: {what}", line, seen=repr(str(value)[:60]), expected=" ".join(("a number", *units[:1]))
        )
    return float(match[1])


def whole(value: object, output: ToolOutput, line: int | None, what: str) -> int | None:
    """A whole number without a unit, or None; raises as `number` does."""
    found = number(value, output, line, what)
    if found is not None and found != int(found):
        raise output.refusal(f"not a whole number: {what}", line, seen=repr(value))
    return None if found is None else int(found)


def required_whole(value: object, output: ToolOutput, line: int | None, what: str) -> int:
    """A whole number that must be there; raises as `number` does."""
    found = whole(value, output, line, what)
    if found is None:
        raise output.refusal(f"there is no {what}", line, seen=repr(value), expected="a whole number")
    return found


def size_bytes(value: object, output: ToolOutput, line: int | None, what: str, bare: str = "B") -> int | None:
    """A size with its unit, or in the unit `bare`, in bytes; None where it is one of the words for nothing.

    Raises:
        ConfigurationError: Not a size, or a unit that is none of memory.
    """
    if is_nothing(value):
        return None
    match = _NUMBER.fullmatch(str(value).strip().strip("[]"))
    unit = "" if match is None else (match[2] or bare).lower()
    if match is None or unit not in _SIZES or float(match[1]) < 0:
        raise output.refusal(f"not a size of memory: {what}", line, seen=repr(str(value)[:60]), expected=f"12345 {bare}")
    return round(float(match[1]) * _SIZES[unit])


def fraction(value: object, output: ToolOutput, line: int | None, what: str) -> float | None:
    """A percentage, with or without its sign, as 0 to 1; raises as `number` does, and for one outside 0 to 100."""
    found = number(value, output, line, what, ("%",))
    if found is not None and not 0 <= found <= 100:
        raise output.refusal(f"not a percentage: {what}", line, seen=repr(value), expected="0 to 100")
    return None if found is None else found / 100
