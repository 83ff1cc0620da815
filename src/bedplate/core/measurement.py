"""A number that can be trusted because it says where it came from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from bedplate.core.errors import UsageError
from bedplate.core.json import JsonObject
from bedplate.core.measures import measure_of

DISTURBED_FRAC = 0.05
"""Share of the processors' time that others may take before a rate measured on them counts as disturbed."""


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
    """One value of one indicator or figure. Steps make theirs with `measured`, which fills in the unit.

    Raises:
        UsageError: `num_nodes` or `num_devices` below 1.
    """

    id: str
    """Stable snake_case name, unit as suffix: `resume_step_s`."""
    value: float | None
    """In `unit`; None where it was tried and could not be measured."""
    unit: str
    """One of `bedplate.core.measures.Unit`."""
    provenance: Provenance
    hardware: str = ""
    """What it ran on, for people: `2 x AMD EPYC core`."""
    scale: str = ""
    """How large, for people: `2 workers, 40k tokens`."""
    num_nodes: int = 1
    """Machines that it spans, or hosts of the simulated fabric; at least 1."""
    num_devices: int = 1
    """Devices that it spans, over all nodes; at least 1. A CPU is one device per NUMA node."""
    busy_frac: float | None = None
    """Share, 0 to 1, of the processors' time that other work took; None where unwatched or of no influence."""
    source: str = ""
    """The command, file or paper that the number comes from."""
    at_s: float = 0.0
    """When, seconds since the epoch."""

    def __post_init__(self) -> None:
        if min(self.num_nodes, self.num_devices) < 1:
            raise UsageError(
                f"the measurement '{self.id}' spans nothing",
                seen=f"{self.num_nodes} nodes, {self.num_devices} devices",
                expected="at least 1 of each",
            )

    @property
    def is_disturbed(self) -> bool:
        """Whether other work took so much of the machine that the value is unreliable."""
        return self.busy_frac is not None and self.busy_frac > DISTURBED_FRAC

    @property
    def evidence(self) -> str:
        """How far the value can be trusted, in a few words: `measured`, `measured, disturbed: other work took 40 %`."""
        disturbed = f", disturbed: other work took {self.busy_frac:.0%}" if self.is_disturbed else ""
        return self.provenance.value + disturbed

    def as_json(self) -> JsonObject:
        """The form in which measurements are stored, printed with `-o json`, and sent from worker to supervisor."""
        return {
            "id": self.id,
            "value": self.value,
            "unit": self.unit,
            "provenance": self.provenance.value,
            "hardware": self.hardware,
            "scale": self.scale,
            "num_nodes": self.num_nodes,
            "num_devices": self.num_devices,
            "busy_frac": self.busy_frac,
            "disturbed": self.is_disturbed,
            "source": self.source,
            "at_s": self.at_s,
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> Measurement:
        """Inverse of `as_json`; KeyError or ValueError when `data` is not one."""
        return cls(
            id=str(data["id"]),
            value=_number(data["value"]),
            unit=str(data["unit"]),
            provenance=Provenance(str(data["provenance"])),
            hardware=str(data.get("hardware", "")),
            scale=str(data.get("scale", "")),
            num_nodes=int(_number(data.get("num_nodes")) or 1),
            num_devices=int(_number(data.get("num_devices")) or 1),
            busy_frac=_number(data.get("busy_frac")),
            source=str(data.get("source", "")),
            at_s=_number(data.get("at_s")) or 0.0,
        )


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def measured(
    values: Mapping[str, float | None],
    *,
    provenance: Provenance,
    hardware: str,
    scale: str,
    source: str,
    at_s: float,
    num_nodes: int = 1,
    num_devices: int = 1,
    busy_frac: float | None = None,
) -> tuple[Measurement, ...]:
    """One measurement for each id of `values`, with the unit that is registered for it.

    `busy_frac` is kept for times and rates only: other work on the machine does not change a perplexity or a size.

    Raises:
        UsageError: An id that is not registered (`bedplate.core.measures`).
    """
    made = []
    for name, value in values.items():
        measure = measure_of(name)
        made.append(
            Measurement(
                id=name,
                value=None if value is None else float(value),
                unit=measure.unit,
                provenance=provenance,
                hardware=hardware,
                scale=scale,
                num_nodes=num_nodes,
                num_devices=num_devices,
                busy_frac=busy_frac if measure.is_timed else None,
                source=source,
                at_s=at_s,
            )
        )
    return tuple(made)
