"""`healthy`: nodes whose health is not under the least that is accepted."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Bools
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def allowed(facts: Facts) -> Bools:
    """See the file's header."""
    return np.ones(facts.num_nodes, bool) if facts.health_N is None else facts.health_N >= facts.least_health
