"""`fast-enough`: nodes with devices on which the job is not slower than the least speed that is accepted."""

from __future__ import annotations

from bedplate.compute.scheduler.placement.arrays import Bools
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def allowed(facts: Facts) -> Bools:
    """See the file's header."""
    is_fast: Bools = facts.speed_of_nodes() >= facts.least_speed
    return is_fast
