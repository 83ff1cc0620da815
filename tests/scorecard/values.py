"""Indicators and measurements for the scorecard's tests."""

from typing import Any

from bedplate.core.measurement import Measurement, Provenance
from bedplate.scorecard.indicator import Basis, Collection, Direction, Indicator, Part, Threshold, Thresholds


def measured(name: str, value: float | None, provenance: Provenance = Provenance.MEASURED, **other: Any) -> Measurement:
    return Measurement(id=name, value=value, unit=other.pop("unit", "frac"), provenance=provenance, **other)


def indicator(
    name: str = "speed", levels: tuple[float, float, float] = (0.2, 0.5, 0.8), higher: bool = True, **other: Any
) -> Indicator:
    base, good, lead = (Threshold(value=level, source="a test", basis=Basis.PROJECT) for level in levels)
    return Indicator(
        id=name,
        part=other.pop("part", Part.COMPUTE),
        name=name,
        question="?",
        formula=other.pop("formula", name),
        unit="frac",
        direction=Direction.HIGHER if higher else Direction.LOWER,
        collect=Collection(command="bedplate doctor"),
        thresholds=Thresholds(base=base, good=good, lead=lead),
        advice="!",
        **other,
    )
