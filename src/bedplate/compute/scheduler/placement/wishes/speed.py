"""`speed`: slower devices are held for longer; the cost is the device time that is used beyond that on the fastest model."""

from __future__ import annotations

from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def bias(facts: Facts) -> Floats:
    """See the file's header; thousandths of a device."""
    cost_N: Floats = (1 / facts.speed_of_nodes() - 1) * facts.scale
    return cost_N
