"""What a step wants people to see: data for a picture or a table; the report draws it and chooses the language."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance
from bedplate.core.messages import decode, encode
from bedplate.core.text import AnyText, Text

Cell: TypeAlias = Text | str | int | float | None
"""One cell of a table; None where there is no value."""


class FigureKind(enum.StrEnum):
    """How the series are to be drawn."""

    LINE = "line"
    """x and y are numbers."""
    BAR = "bar"
    """x is a list of labels, each series one bar a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line or one set of bars."""

    name: AnyText
    x: tuple[int | float | str, ...]
    y: tuple[int | float | None, ...]
    """None leaves a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture of some numbers."""

    id: str
    """Stable snake_case name."""
    title: AnyText
    """A few words; what was measured and how goes into `details`."""
    details: AnyText = ""
    """What the numbers are about: the setting, the scale."""
    kind: FigureKind
    x_label: AnyText
    y_label: AnyText
    """With its unit: `tokens/s`."""
    series: tuple[Series, ...]
    provenance: Provenance
    is_x_logarithmic: bool = False
    """Of a line: equal steps of x are equal ratios; points whose x is not above 0 are not drawn."""
    marks: tuple[tuple[float, AnyText], ...] = ()
    """Vertical lines at x with a label: `(12.5, text("worker {rank} lost", rank=1))`."""

    def as_json(self) -> JsonObject:
        """The form in which figures are stored."""
        return encode(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> Figure:
        """Inverse of `as_json`; MessageError when `data` is not one."""
        return decode(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """A small table for people: candidates compared, streams measured."""

    id: str
    title: AnyText
    """A few words; what was measured and how goes into `details`."""
    details: AnyText = ""
    """What the numbers are about: the setting, the scale."""
    columns: tuple[AnyText, ...]
    rows: tuple[tuple[Cell, ...], ...]
    provenance: Provenance

    def as_json(self) -> JsonObject:
        """The form in which tables are stored."""
        return encode(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> ResultTable:
        """Inverse of `as_json`; MessageError when `data` is not one."""
        return decode(cls, data)
