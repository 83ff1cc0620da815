"""A number that can be trusted because it says where it came from."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bedplate.core.json import JsonObject


class Provenance(enum.StrEnum):
    """How a number came about; none is ever shown as another."""

    MEASURED = "measured"
    """Real hardware of the kind claimed."""
    EMULATED = "emulated"
    """Real packets or processes on stand-in hardware."""
    SIMULATED = "simulated"
    """A model computed it."""
    REPLAYED = "replayed"
    """A recorded trace was played through real code."""
    PUBLISHED = "published"
    """Somebody else's figure, with its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One value of one indicator or figure."""

    id: str
    """Stable snake_case name, unit as suffix: `resume_step_s`."""
    value: float | None
    """In `unit`; None where it was tried and could not be measured."""
    unit: str
    """`s`, `bytes`, `bytes/s`, `flops`, `ratio`, `frac`, `tokens/s`, `bool` (0 or 1), …"""
    provenance: Provenance
    hardware: str = ""
    """What it ran on, for people: `2 x AMD EPYC core`."""
    scale: str = ""
    """How large: `2 workers, 40k tokens`."""
    source: str = ""
    """The command, file or paper that the number comes from."""
    at_s: float = 0.0
    """When, seconds since the epoch."""

    def as_json(self) -> JsonObject:
        """The form in which measurements are stored, printed with `-o json`, and handed from worker to supervisor."""
        return {
            "id": self.id,
            "value": self.value,
            "unit": self.unit,
            "provenance": self.provenance.value,
            "hardware": self.hardware,
            "scale": self.scale,
            "source": self.source,
            "at_s": self.at_s,
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> Measurement:
        """Inverse of `as_json`; KeyError or ValueError when `data` is not one."""
        value = data["value"]
        return cls(
            id=str(data["id"]),
            value=None if value is None else float(value),  # type: ignore[arg-type]
            unit=str(data["unit"]),
            provenance=Provenance(str(data["provenance"])),
            hardware=str(data.get("hardware", "")),
            scale=str(data.get("scale", "")),
            source=str(data.get("source", "")),
            at_s=float(data.get("at_s", 0.0)),  # type: ignore[arg-type]
        )
