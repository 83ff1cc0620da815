"""What a step wants people to see: data for a picture or a table; the report draws it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bedplate.core.json import JsonObject
from bedplate.core.measurement import Provenance


class FigureKind(enum.StrEnum):
    """How the series are to be drawn."""

    LINE = "line"
    """x and y are numbers."""
    BAR = "bar"
    """x is a list of labels, each series one bar a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line or one set of bars."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    """None leaves a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture of some numbers."""

    id: str
    """Stable snake_case name."""
    title: str
    kind: FigureKind
    x_label: str
    y_label: str
    """With its unit: `tokens/s`."""
    series: tuple[Series, ...]
    provenance: Provenance
    marks: tuple[tuple[float, str], ...] = ()
    """Vertical lines at x with a label: `(12.5, "worker 1 killed")`."""

    def as_json(self) -> JsonObject:
        """The form in which figures are stored."""
        return {
            "id": self.id,
            "title": self.title,
            "kind": self.kind.value,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "series": [{"name": item.name, "x": list(item.x), "y": list(item.y)} for item in self.series],
            "provenance": self.provenance.value,
            "marks": [[at, label] for at, label in self.marks],
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> Figure:
        """Inverse of `as_json`; KeyError or ValueError when `data` is not one."""
        series: list[dict[str, list[float]]] = data["series"]  # type: ignore[assignment]
        marks: list[tuple[float, str]] = data.get("marks", [])  # type: ignore[assignment]
        return cls(
            id=str(data["id"]),
            title=str(data["title"]),
            kind=FigureKind(str(data["kind"])),
            x_label=str(data["x_label"]),
            y_label=str(data["y_label"]),
            series=tuple(Series(name=str(item["name"]), x=tuple(item["x"]), y=tuple(item["y"])) for item in series),
            provenance=Provenance(str(data["provenance"])),
            marks=tuple((float(at), str(label)) for at, label in marks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """A small table for people: candidates compared, streams measured."""

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    provenance: Provenance

    def as_json(self) -> JsonObject:
        """The form in which tables are stored."""
        return {
            "id": self.id,
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "provenance": self.provenance.value,
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> ResultTable:
        """Inverse of `as_json`; KeyError or ValueError when `data` is not one."""
        columns: list[str] = data["columns"]  # type: ignore[assignment]
        rows: list[list[str | float | None]] = data["rows"]  # type: ignore[assignment]
        return cls(
            id=str(data["id"]),
            title=str(data["title"]),
            columns=tuple(columns),
            rows=tuple(tuple(row) for row in rows),
            provenance=Provenance(str(data["provenance"])),
        )
