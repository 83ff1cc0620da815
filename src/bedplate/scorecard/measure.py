"""From measurements to the value of an indicator: a number is worth what its weakest input is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bedplate.core.measurement import Measurement, Provenance
from bedplate.scorecard.indicator import Indicator

_STRENGTH = (
    Provenance.MEASURED,
    Provenance.EMULATED,
    Provenance.REPLAYED,
    Provenance.SIMULATED,
    Provenance.PUBLISHED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorValue:
    """What is known about one indicator."""

    value: float | None
    """In the indicator's unit; None where an input is missing or the formula has no result."""
    provenance: Provenance | None
    """The weakest among the inputs; None where there is no value."""
    inputs: tuple[Measurement, ...]
    """The measurements that it was computed from, as far as they are there."""
    missing: tuple[str, ...]
    """Measurement ids that are not there, or could not be measured."""

    @property
    def num_nodes(self) -> int:
        """Nodes that the smallest input spanned."""
        return min((measurement.num_nodes for measurement in self.inputs), default=1)

    @property
    def is_disturbed(self) -> bool:
        """Whether other work took so much of the machine that an input is unreliable."""
        return any(measurement.is_disturbed for measurement in self.inputs)


def latest_by_id(measurements: Sequence[Measurement]) -> dict[str, Measurement]:
    """The last measurement of each id, in the order of the run; one without a value never hides one with a value."""
    latest: dict[str, Measurement] = {}
    for measurement in measurements:
        if measurement.value is not None or measurement.id not in latest:
            latest[measurement.id] = measurement
    return latest


def measure(indicator: Indicator, measurements: Mapping[str, Measurement]) -> IndicatorValue:
    """Compute one indicator from what was measured."""
    formula = indicator.parsed
    inputs = tuple(measurements[name] for name in formula.names if name in measurements)
    values = {item.id: item.value for item in inputs if item.value is not None and math.isfinite(item.value)}
    missing = tuple(name for name in formula.names if name not in values)
    value = None if missing else formula.evaluate(values)
    provenance = None if value is None else max((item.provenance for item in inputs), key=_STRENGTH.index)
    return IndicatorValue(value=value, provenance=provenance, inputs=inputs, missing=missing)
