"""The published figures of one device model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from bedplate.core.errors import ConfigurationError
from bedplate.core.settings import Range
from bedplate.core.units import ByteCount, Rate

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8", "fp4")
"""What rates are given for, widest first."""
EVERY_FIGURE = "all"
"""In `confirmed`: every figure that the entry has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLink:
    """What connects a device to its siblings."""

    kind: str
    """`nvlink`, `xgmi`, `hccs`, `pcie` …"""
    bandwidth: Rate | None = None
    """Of all of a device's links together, one direction, in bytes/s; null: not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One model, as one device that the vendor's tool lists: of a card with two dies that are listed, one die.

    Raises:
        ConfigurationError: A precision that is none, a rate that is not a number above zero, or a confirmed figure that the
            entry does not have.
    """

    model: str
    """Its name in plans and files; one of the spellings of its vendor's tools, without the vendor."""
    family: str
    """What a request may name for all of its variants: `A100`, `910B`."""
    generation: str
    """Architecture."""
    year: Annotated[int, Range(2010)]
    """Of its release."""
    memory: ByteCount | None
    """Nominal, in bytes; null: not published."""
    memory_bandwidth: Rate | None
    """In bytes/s; null: not published."""
    tflops: Mapping[str, float | None]
    """Dense peak in 10^12 operations/s by precision. Null: it computes in it, at a rate that is not published. Absent: it does
    not compute in it faster than in a wider one, or not at all.
    """
    watts: Annotated[float, Range(1)] | None
    """Rated power; null: not published."""
    source: str
    """Whose figures they are: the vendor's document, or what stands in for one."""
    confirmed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What was read (in a file: a key of its `read`) -> the figures that were found there: `memory`, `memory_bandwidth`,
    `watts`, `link`, a precision, or `all`. A figure that is in none was entered without being looked up.
    """
    link: PublishedLink | None = None
    aliases: tuple[str, ...] = ()
    """Other spellings that tools print."""
    patterns: tuple[str, ...] = ()
    """Regular expressions of spellings; one must match all of a spelling, in any case."""
    devices_per_card: Annotated[int, Range(1)] = 1
    """Devices that tools list for one card."""
    vendor: str = ""
    """`Vendor.name`: the table fills in that of the file."""

    def __post_init__(self) -> None:
        for precision, rate in self.tflops.items():
            if precision not in PRECISIONS:
                raise ConfigurationError(
                    f"'{self.model}' has a rate of no known precision", seen=precision, expected=", ".join(PRECISIONS)
                )
            if rate is not None and not (math.isfinite(rate) and rate > 0):
                raise ConfigurationError(
                    f"'{self.model}' has an impossible {precision} rate", seen=rate, expected="above 0, in 10^12 operations/s"
                )
        for name in (name for names in self.confirmed.values() for name in names):
            if name not in (EVERY_FIGURE, *self.figures):
                raise ConfigurationError(
                    f"'{self.model}' confirms a figure that it does not have",
                    seen=name,
                    expected=", ".join((EVERY_FIGURE, *self.figures)),
                )

    @property
    def precisions(self) -> tuple[str, ...]:
        """What it computes in, widest first."""
        return tuple(name for name in PRECISIONS if name in self.tflops)

    def peak_flops(self, precision: str) -> float | None:
        """Operations/s in a precision; None where it is not published, or the device does not compute in it."""
        rate = self.tflops.get(precision)
        return None if rate is None else 1e12 * rate

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures that the entry has, as `confirmed` calls them."""
        link = None if self.link is None else self.link.bandwidth
        others = {"memory": self.memory, "memory_bandwidth": self.memory_bandwidth, "watts": self.watts, "link": link}
        rates = (name for name in self.precisions if self.tflops[name] is not None)
        return (*(name for name, value in others.items() if value is not None), *rates)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Names of the figures that were found in nothing that was read."""
        return tuple(name for name in self.figures if not self.read_in(name))

    def read_in(self, figure: str) -> tuple[str, ...]:
        """What was read that has a figure."""
        return tuple(read for read, names in self.confirmed.items() if figure in names or EVERY_FIGURE in names)
