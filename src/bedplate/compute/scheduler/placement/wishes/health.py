"""`health`: a node that is not quite sound costs what its lack of health puts at risk, up to all that the request holds."""

from __future__ import annotations

import numpy as np

from bedplate.compute.scheduler.placement.arrays import Floats
from bedplate.compute.scheduler.placement.wishes.facts import Facts


def bias(facts: Facts) -> Floats:
    """See the file's header; thousandths of a device."""
    if facts.health_N is None:
        return np.zeros(facts.num_nodes)
    cost_N: Floats = (1 - facts.health_N) * facts.scale
    return cost_N
