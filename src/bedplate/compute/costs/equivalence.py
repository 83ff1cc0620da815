"""Equivalence units: what a device of one type counts in a quota that another type counts too."""

from __future__ import annotations

from dataclasses import dataclass

from bedplate.compute.capabilities.speed import REFERENCE, SpeedTable
from bedplate.compute.costs.prices import Prices
from bedplate.core.measurement import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Equivalence units of one device."""

    value: float
    provenance: Provenance | None
    """Of the speed that they come from; None: the user wrote them, or nobody knows and 1 is taken."""
    source: str


def units_of(
    model: str, speeds: SpeedTable, prices: Prices | None = None, *, job_kind: str = "training", unit: str = REFERENCE
) -> Units:
    """How many units one device of `model` is.

    Args:
        model: As a device prints it.
        speeds: What is believed of the models' speeds.
        prices: The user's file, whose `units` come first.
        job_kind: The kind of job by whose speed devices are compared.
        unit: The model of which one device is one unit.

    Raises:
        UsageError: No such kind of job.
    """
    if prices is not None and (written := prices.of(model).units) is not None:
        return Units(value=written, provenance=None, source="the user's file of prices")
    mine, one = speeds.relative(job_kind, model), speeds.relative(job_kind, unit)
    if mine.value is None or one.value is None:
        missing = model if mine.value is None else unit
        return Units(value=1.0, provenance=None, source=f"nothing is known of '{missing}': it counts as one")
    return Units(value=mine.value / one.value, provenance=mine.provenance, source=f"relative speed for '{job_kind}'")
